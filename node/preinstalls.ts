/**
 * Creation code of the preinstalls, from this tree or from the package that carries it. A byte that is not
 * the one everybody else deployed stops the node: it would be on a chain of its own.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { RLP } from '@ethereumjs/rlp'
import type { CodeSource, Preinstall } from '../genesis/preinstalls.ts'
import { fromHex, type Hex, keccakHex, toHex } from './base/bytes.ts'
import { messageOf, userError } from './base/errors.ts'

const require = createRequire(import.meta.url)

/** A raw transaction in hex; nothing else in such a file is this long. */
const RAW_TRANSACTION = /0x[0-9a-f]{1000,}/

/** @throws NodeError `preinstall` naming the package to install again. */
export function creationCodeOf({ name, source }: Preinstall): Hex {
  if (source.kind === 'here') return source.code
  const { file, codeHash } = source
  let code: Hex
  try {
    code = source.kind === 'artefact' ? artefactCode(source) : dataOf(rawTransactionIn(source))
  } catch (error) {
    throw userError('preinstall', `cannot read ${name} from ${file}: ${messageOf(error)}`)
  }
  const found = keccakHex(fromHex(code))
  if (found === codeHash) return code
  const message = `${file} holds code ${found}, genesis names ${codeHash} for ${name}: run npm ci`
  throw userError('preinstall', message)
}

/** The transaction that made a contract everywhere: whoever recovers its sender knows its address. */
export function rawTransactionIn(source: Extract<CodeSource, { kind: 'transaction' }>): Hex {
  const folder = dirname(require.resolve(`${source.npm}/package.json`))
  const [raw] = RAW_TRANSACTION.exec(readFileSync(join(folder, source.file), 'utf8')) ?? []
  if (!raw) throw new Error('it holds no transaction')
  return raw as Hex
}

function artefactCode({ file }: Extract<CodeSource, { kind: 'artefact' }>): Hex {
  return JSON.parse(readFileSync(require.resolve(file), 'utf8')).bytecode
}

/** Legacy: nonce, gas price, gas, to, value, data, signature. */
function dataOf(raw: Hex): Hex {
  const fields = RLP.decode(fromHex(raw))
  const data = Array.isArray(fields) ? fields[5] : undefined
  if (!(data instanceof Uint8Array)) throw new Error('its transaction cannot be read')
  return toHex(data)
}
