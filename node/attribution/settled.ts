/**
 * Settled receipts as a block tells them: what was settled from the registry's logs, what a receipt says from the
 * calldata of whoever called it, never from anybody's word. `findSettled` is for index, RPC and prover alike; it
 * runs a block again only when a receipt was settled through another contract.
 */
import type { Abi } from 'viem'
import { decodeEventLog } from 'viem/utils'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { ReceiptRegistry } from '../../genesis/contracts.generated.ts'
import { type Hex, toHex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { ChainReader } from '../chain/reader.ts'
import type { Block, Receipt } from '../chain/types.ts'
import { type InferenceReceipt, receiptHash } from './receipt.ts'
import { directCalls, type RegistryCall, watchedCalls } from './registry-calls.ts'
import { decodeSettle, type SettleArgument } from './settle-calldata.ts'

export type Attributed = {
  readonly account: Hex
  readonly index: number
  /** Part of 2^32. */
  readonly weight: bigint
  /** wei */
  readonly amount: bigint
}

export type FeeShares = {
  readonly platform: bigint
  readonly modelOwner: bigint
  readonly stakers: bigint
  readonly contributors: bigint
}

export type SettledReceipt = {
  readonly hash: Hex
  readonly receipt: InferenceReceipt
  /** int8 entries. */
  readonly sketch: Uint8Array
  /** Spans and retrieved rows, as `precompiles/mix.ts` reads them. */
  readonly claims: Uint8Array
  readonly shares: FeeShares
  /** Best score first; empty when nobody scored above zero. */
  readonly contributors: readonly Attributed[]
  /** How many treasuries were paid in their stead. */
  readonly treasuries: number
  /** Everything it paid, in the order in which it was booked: what `report` is shown. */
  readonly booked: readonly { readonly account: Hex; readonly amount: bigint }[]
  readonly block: { readonly number: bigint; readonly hash: Hex }
  readonly transaction: Hex
}

const ABI = ReceiptRegistry.abi as Abi

/**
 * All receipts that the block settled, in the order of their logs; `watched` is the calldata that only running it again
 * shows, for a caller who keeps it as `kept` of a later call. @throws when it must run and the state before it is gone
 */
export async function findSettled(
  chain: Pick<ChainReader, 'config' | 'replay'>,
  block: Block,
  receipts: readonly Receipt[],
  kept: readonly RegistryCall[] = [],
): Promise<{ readonly settled: SettledReceipt[]; readonly watched: readonly RegistryCall[] }> {
  const chainId = chain.config.l2ChainId
  const known = [...directCalls(block, receipts, chainId), ...kept]
  const first = readSettled(block, receipts, known, chainId)
  if (first.unread.size === 0) return { settled: first.settled, watched: [] }
  const watched = await watchedCalls(block, first.unread, (again, observer) =>
    chain.replay(again, observer),
  )
  const { settled, unread } = readSettled(block, receipts, [...known, ...watched], chainId)
  assert(unread.size === 0, `block ${block.hash} settles a receipt that no call of it shows`)
  return { settled, watched }
}

/** Those that can be read without running the block again. */
export function shownReceipts(
  { l2ChainId }: Pick<ChainConfig, 'l2ChainId'>,
  block: Block,
  receipts: readonly Receipt[],
  kept: readonly RegistryCall[],
): SettledReceipt[] {
  const known = [...directCalls(block, receipts, l2ChainId), ...kept]
  return readSettled(block, receipts, known, l2ChainId).settled
}

type Settled = {
  readonly settled: SettledReceipt[]
  /** Transactions with a settled receipt that none of `calls` shows. */
  readonly unread: ReadonlySet<number>
}

function readSettled(
  block: Block,
  receipts: readonly Receipt[],
  calls: readonly RegistryCall[],
  chainId: number,
): Settled {
  const settled: SettledReceipt[] = []
  const unread = new Set<number>()
  for (const [txIndex, outcome] of receipts.entries()) {
    const logged = logsByReceipt(outcome)
    if (logged.size === 0) continue
    const inputs = calls.flatMap((call) => (call.txIndex === txIndex ? [call.input] : []))
    const shown = argumentsByReceipt(inputs, chainId)
    for (const [hash, told] of logged) {
      const argument = shown.get(hash)
      if (!argument) unread.add(txIndex)
      else
        settled.push({
          hash,
          ...argument,
          ...told,
          block: { number: block.header.number, hash: block.hash },
          transaction: outcome.transactionHash,
        })
    }
  }
  return { settled, unread }
}

function argumentsByReceipt(
  inputs: readonly Uint8Array[],
  chainId: number,
): Map<Hex, SettleArgument> {
  const domain = { chainId, verifyingContract: OPENLEDGER.receiptRegistry }
  const found = new Map<Hex, SettleArgument>()
  for (const argument of inputs.flatMap(decodeSettle)) {
    found.set(receiptHash(argument.receipt, domain), argument)
  }
  return found
}

type Told = {
  readonly shares: FeeShares
  readonly contributors: Attributed[]
  treasuries: number
  readonly booked: { account: Hex; amount: bigint }[]
}

function logsByReceipt(outcome: Receipt): Map<Hex, Told> {
  const found = new Map<Hex, Told>()
  for (const { address, topics, data } of outcome.logs) {
    if (address !== OPENLEDGER.receiptRegistry) continue
    const { eventName, args } = decodeEventLog({
      abi: ABI,
      topics: topics as [Hex, ...Hex[]],
      data: toHex(data),
    }) as unknown as { eventName: string; args: Record<string, unknown> }
    const hash = args.receiptHash as Hex
    if (eventName === 'FeeSplit') {
      const { platform, modelOwner, stakers, contributors } = args as FeeShares
      const shares = { platform, modelOwner, stakers, contributors }
      found.set(hash, { shares, contributors: [], treasuries: 0, booked: [] })
    }
    if (eventName === 'Attributed') {
      const { account, index, weight, amount } = args as Attributed
      const entry = { account: account.toLowerCase() as Hex, index, weight, amount }
      found.get(hash)?.contributors.push(entry)
    }
    const told = found.get(hash)
    if (eventName === 'Unattributed' && told) told.treasuries++
    if (eventName === 'Booked') {
      const { accounts, amounts } = args as { accounts: Hex[]; amounts: bigint[] }
      const booked = accounts.map((account, i) => ({
        account: account.toLowerCase() as Hex,
        amount: amounts[i] as bigint,
      }))
      found.get(hash)?.booked.push(...booked)
    }
  }
  return found
}
