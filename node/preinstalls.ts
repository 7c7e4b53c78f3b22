/**
 * Creation code of the preinstalls, from this tree or from the package that carries it. A byte that is not
 * the one everybody else deployed stops the node: it would be on a chain of its own.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Preinstall } from '../genesis/preinstalls.ts'
import { fromHex, type Hex, keccakHex } from './base/bytes.ts'
import { messageOf, userError } from './base/errors.ts'

const require = createRequire(import.meta.url)

/** @throws NodeError `preinstall` naming the package to install again. */
export function creationCodeOf({ name, source }: Preinstall): Hex {
  if (source.kind === 'here') return source.code
  const { file, codeHash } = source
  let code: Hex
  try {
    const artefact = JSON.parse(readFileSync(require.resolve(file), 'utf8'))
    code = artefact.bytecode
  } catch (error) {
    throw userError('preinstall', `cannot read ${name} from ${file}: ${messageOf(error)}`)
  }
  const found = keccakHex(fromHex(code))
  if (found === codeHash) return code
  const message = `${file} holds code ${found}, genesis names ${codeHash} for ${name}: run npm ci`
  throw userError('preinstall', message)
}
