/** Input, logs and refusals of transactions in words: by the ABI of the contract at that address, else by any of ours that fits. */
import {
  type Abi,
  type AbiParameter,
  decodeErrorResult,
  decodeEventLog,
  decodeFunctionData,
  type Hex,
  parseAbi,
} from 'viem'
import { CONTRACTS, contractAt } from './contracts.ts'
import type { LogJson } from './types.ts'

export type Decoded = { readonly name: string; readonly args: readonly Argument[] }
export type Argument = { readonly name: string; readonly type: string; readonly value: unknown }

const STANDARD = parseAbi([
  'function transfer(address to, uint256 amount) returns (bool)',
  'function approve(address spender, uint256 amount) returns (bool)',
  'function transferFrom(address from, address to, uint256 amount) returns (bool)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event Approval(address indexed owner, address indexed spender, uint256 value)',
])

const abisFor = (address: string): readonly Abi[] => {
  const known = contractAt(address)
  return known ? [known.abi] : [STANDARD, ...CONTRACTS.map(({ abi }) => abi)]
}

/** null for what no ABI of ours explains. */
export function decodeInput(to: string | null, input: Hex): Decoded | null {
  if (to === null || input.length < 10) return null
  for (const abi of abisFor(to)) {
    try {
      const { functionName, args } = decodeFunctionData({ abi, data: input })
      const item = abi.find(
        (one) =>
          one.type === 'function' &&
          one.name === functionName &&
          one.inputs.length === (args?.length ?? 0),
      )
      return { name: functionName, args: named(item && 'inputs' in item ? item.inputs : [], args) }
    } catch {}
  }
  return null
}

export function decodeLog({ address, topics, data }: LogJson): Decoded | null {
  for (const abi of abisFor(address)) {
    try {
      const event = { abi, topics: topics as [Hex, ...Hex[]], data }
      const { eventName, args } = decodeEventLog(event) as { eventName: string; args: unknown }
      const item = abi.find((one) => one.type === 'event' && one.name === eventName)
      return { name: eventName, args: named(item && 'inputs' in item ? item.inputs : [], args) }
    } catch {}
  }
  return null
}

/** The contract's own error in the bytes a call reverted with. */
export function decodeRevert(address: string | null, data: Hex): string | null {
  for (const abi of abisFor(address ?? '0x')) {
    try {
      const { errorName, args } = decodeErrorResult({ abi, data })
      return `${errorName}(${(args ?? []).map(String).join(', ')})`
    } catch {}
  }
  return null
}

/** viem gives events with names as an object, functions as a list. */
function named(inputs: readonly AbiParameter[], args: unknown): Argument[] {
  return inputs.map(({ name = '', type }, i) => ({
    name: name || String(i),
    type,
    value: Array.isArray(args) ? args[i] : (args as Record<string, unknown> | undefined)?.[name],
  }))
}
