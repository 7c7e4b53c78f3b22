/**
 * Settled receipts as a block tells them: read from the `settle` calldata and the logs, never from
 * anybody's word. Pure; the prover and the index both start here.
 */
import { type Abi, decodeEventLog, decodeFunctionData } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { ReceiptRegistry } from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import { decodeDepositTx, isDeposit } from '../chain/deposit.ts'
import { decodeTx } from '../chain/tx.ts'
import type { Block, Receipt } from '../chain/types.ts'
import { type InferenceReceipt, receiptHash } from './receipt.ts'

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
  /** Everything it paid, in the order in which it was booked: what `report` is shown. */
  readonly booked: readonly { readonly account: Hex; readonly amount: bigint }[]
  readonly block: { readonly number: bigint; readonly hash: Hex }
  readonly transaction: Hex
}

const ABI = ReceiptRegistry.abi as Abi

type SettleArgs = readonly [
  readonly { readonly receipt: InferenceReceipt; readonly sketch: Hex; readonly claims: Hex }[],
]

/** Receipts settled by transactions sent straight to ReceiptRegistry, in block order. */
export function settledReceipts(
  block: Block,
  receipts: readonly Receipt[],
  chainId: number,
): SettledReceipt[] {
  const domain = { chainId, verifyingContract: OPENLEDGER.receiptRegistry }
  const found: SettledReceipt[] = []
  for (const [i, outcome] of receipts.entries()) {
    if (outcome.status !== 1 || outcome.to !== OPENLEDGER.receiptRegistry) continue
    const batch = settlementsOf(block.transactions[i] as Uint8Array, chainId)
    const logs = logsByReceipt(outcome)
    for (const { receipt: raw, sketch, claims } of batch) {
      const receipt = plainReceipt(raw)
      const hash = receiptHash(receipt, domain)
      const told = logs.get(hash)
      if (!told) continue
      found.push({
        hash,
        receipt,
        sketch: fromHex(sketch),
        claims: fromHex(claims),
        ...told,
        block: { number: block.header.number, hash: block.hash },
        transaction: outcome.transactionHash,
      })
    }
  }
  return found
}

function settlementsOf(raw: Uint8Array, chainId: number): SettleArgs[0] {
  const { data: input } = isDeposit(raw) ? decodeDepositTx(raw) : decodeTx(raw, chainId)
  const data = toHex(input)
  const { functionName, args } = decodeFunctionData({ abi: ABI, data })
  return functionName === 'settle' ? (args as unknown as SettleArgs)[0] : []
}

type Told = {
  readonly shares: FeeShares
  readonly contributors: Attributed[]
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
      found.set(hash, { shares, contributors: [], booked: [] })
    }
    if (eventName === 'Attributed') {
      const { account, index, weight, amount } = args as Attributed
      const entry = { account: account.toLowerCase() as Hex, index, weight, amount }
      found.get(hash)?.contributors.push(entry)
    }
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

/** Addresses as we spell them. */
function plainReceipt(raw: InferenceReceipt): InferenceReceipt {
  return {
    ...raw,
    payer: raw.payer.toLowerCase() as Hex,
    provider: raw.provider.toLowerCase() as Hex,
  }
}
