/**
 * Calls of contracts in this node's own state: encode, run, decode. A revert becomes an error with its
 * decoded reason.
 */
import type { Abi } from 'viem'
import { decodeErrorResult, decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { BlockTag, Chain } from '../chain/chain.ts'

export type Contract = { readonly address: Hex; readonly abi: Abi }

/** `headRef`, where it is, names the state that calls read: what was read of it holds until it moves. */
export type ChainReader = Pick<Chain, 'call'> & Partial<Pick<Chain, 'headRef'>>

/** @throws NodeError `call-reverted` with the contract's reason. */
export async function readContract<T>(
  chain: ChainReader,
  contract: Contract,
  functionName: string,
  args: readonly unknown[] = [],
  at: BlockTag = 'unsafe',
): Promise<T> {
  const data = fromHex(encodeFunctionData({ abi: contract.abi, functionName, args }))
  const result = await chain.call({ to: contract.address, data }, at)
  if (result.error) throw reverted(contract, functionName, result.returnData, result.error.message)
  return decodeFunctionResult({
    abi: contract.abi,
    functionName,
    data: toHex(result.returnData),
  }) as T
}

/** null for what the contract reverts on: there is no such thing. */
export async function orNull<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result
  } catch (error) {
    if (error instanceof NodeError && error.code === 'call-reverted') return null
    throw error
  }
}

/** Contracts answer with checksums; the node compares lower case. */
export function lower(address: Hex): Hex {
  return address.toLowerCase() as Hex
}

/** The reason in the words of the contract's own errors, when it has one. */
export function reverted(
  contract: Contract,
  what: string,
  output: Uint8Array,
  fallback: string,
): NodeError {
  let reason = fallback
  try {
    const { errorName, args } = decodeErrorResult({ abi: contract.abi, data: toHex(output) })
    reason = `${errorName}(${(args ?? []).map(String).join(', ')})`
  } catch {}
  return new NodeError('call-reverted', 'user', `${what} reverts: ${reason}`, { reason })
}
