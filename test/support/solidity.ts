/** Solidity that only tests and benches need, compiled on the spot by the compiler that makes the committed artefact. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Abi } from 'viem'
import type { Hex } from '../../node/base/bytes.ts'

type Output = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts?: Record<
    string,
    Record<string, { abi: Abi; evm: { bytecode: { object: string } } }>
  >
}
type Read = (path: string) => { contents: string } | { error: string }
type Solc = { compile(input: string, callbacks: { import: Read }): string }

export type Compiled = { readonly abi: Abi; readonly bytecode: Hex }

const require = createRequire(import.meta.url)

/** The contract `name` of `test/support/contracts/<name>.sol`. */
export function compileForTest(name: string): Compiled {
  return compileFile(new URL(`./contracts/${name}.sol`, import.meta.url), [name])[0] as Compiled
}

/** These contracts of a file, which may import packages. @throws Error with the compiler's own messages */
export function compileFile(file: URL, names: readonly string[]): Compiled[] {
  const solc = require('solc') as Solc
  const input = {
    language: 'Solidity',
    sources: { file: { content: readFileSync(file, 'utf8') } },
    settings: {
      evmVersion: 'prague',
      optimizer: { enabled: true },
      outputSelection: { file: { '*': ['abi', 'evm.bytecode.object'] } },
    },
  }
  const read: Read = (path) => ({ contents: readFileSync(require.resolve(path), 'utf8') })
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read })) as Output
  const faults = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  return names.map((name) => {
    const made = output.contracts?.file?.[name]
    if (!made) throw new Error(faults.map(({ formattedMessage }) => formattedMessage).join('\n'))
    return { abi: made.abi, bytecode: `0x${made.evm.bytecode.object}` }
  })
}
