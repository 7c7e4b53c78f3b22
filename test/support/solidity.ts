/** Solidity that only tests need, compiled on the spot by the compiler that makes the committed artefact. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Abi } from 'viem'
import type { Hex } from '../../node/base/bytes.ts'

type Output = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts: Record<
    string,
    Record<string, { abi: Abi; evm: { bytecode: { object: string } } }>
  >
}

/** The contract `name` of `test/support/contracts/<name>.sol`. */
export function compileForTest(name: string): { abi: Abi; bytecode: Hex } {
  const solc = createRequire(import.meta.url)('solc') as { compile(input: string): string }
  const path = new URL(`./contracts/${name}.sol`, import.meta.url)
  const input = {
    language: 'Solidity',
    sources: { [name]: { content: readFileSync(path, 'utf8') } },
    settings: {
      evmVersion: 'prague',
      optimizer: { enabled: true },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as Output
  const faults = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  const made = output.contracts?.[name]?.[name]
  if (!made) throw new Error(faults.map(({ formattedMessage }) => formattedMessage).join('\n'))
  return { abi: made.abi, bytecode: `0x${made.evm.bytecode.object}` }
}
