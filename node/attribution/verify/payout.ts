/**
 * Checks a payout's trace against an output root, and nothing else: no node, no network, a browser is enough. Who calls
 * it reads the output root from L1 (DisputeGameFactory, the game `trace.output.game`).
 *
 *   verifyPayout(trace, outputRoot) -> {ok: true, amount, accrued, receipts, rows} | {ok: false, step, reason}
 */
import type { Hex } from 'viem'
import {
  concatHex,
  decodeEventLog,
  fromRlp,
  hashTypedData,
  keccak256,
  numberToHex,
  pad,
  parseAbi,
  toRlp,
} from 'viem/utils'
import { OPENLEDGER, STANDARD } from '../../../genesis/addresses.ts'
import { RECEIPT_TYPES } from '../receipt-types.ts'
import { slotValue, storageRootOf, valueInTrie } from './mpt.ts'
import { checkRow } from './row.ts'
import type { PayoutTrace, TracedBlock, TracedReceipt } from './types.ts'

export type PayoutVerdict =
  | {
      readonly ok: true
      /** wei that the proven receipts pay the account. */
      readonly amount: bigint
      /** wei that stand in the state: below `amount` when some were claimed or are held, above it when a dismissed report
       * brought back what an earlier epoch's receipt had paid. */
      readonly accrued: bigint
      readonly receipts: number
      readonly rows: number
    }
  | {
      readonly ok: false
      /** The first thing that does not follow. */
      readonly step: 'output' | 'rewards' | 'block' | 'transaction' | 'receipt' | 'row'
      readonly reason: string
    }

const EVENTS = parseAbi([
  'event ReceiptSettled(bytes32 indexed receiptHash, bytes32 indexed modelId, address indexed payer, address provider, uint256 fee)',
  'event Booked(bytes32 indexed receiptHash, address[] accounts, uint256[] amounts)',
  'event Attributed(bytes32 indexed receiptHash, address indexed account, uint32 index, uint64 weight, uint256 amount)',
])
const EPOCH_SECONDS_SLOT = 0n
const ACCRUED_SLOT = 5n
/** EIP-2935. */
const HISTORY_BLOCKS = 8_191n
/** Fields of a header. */
const [TRANSACTIONS_ROOT, RECEIPTS_ROOT, NUMBER, TIMESTAMP] = [4, 5, 8, 11]

class Wrong extends Error {
  readonly step: Exclude<PayoutVerdict, { ok: true }>['step']

  constructor(step: Wrong['step'], reason: string) {
    super(reason)
    this.step = step
  }
}

/** @param outputRoot as L1 has it; the trace's own is not believed */
export function verifyPayout(trace: PayoutTrace, outputRoot: Hex): PayoutVerdict {
  try {
    return check(trace, outputRoot)
  } catch (error) {
    const step = error instanceof Wrong ? error.step : 'output'
    return { ok: false, step, reason: error instanceof Error ? error.message : String(error) }
  }
}

function check(trace: PayoutTrace, outputRoot: Hex): PayoutVerdict {
  const { output, account, epoch } = trace
  const { stateRoot, messagePasserStorageRoot, blockHash } = output
  const parts = [pad('0x', { size: 32 }), stateRoot, messagePasserStorageRoot, blockHash] as const
  const root = keccak256(concatHex(parts))
  need(root === outputRoot, 'output', `the parts hash to ${root}, L1 has ${outputRoot}`)
  const rewards = within('rewards', () => rewardsOf(trace))
  const blocks = new Map(
    trace.blocks.map((block) => [block.number, within('block', () => headerOf(trace, block))]),
  )
  let amount = 0n
  let rows = 0
  const seen = new Set<Hex>()
  for (const receipt of trace.receipts) {
    const header = blocks.get(receipt.block)
    if (!header) throw new Wrong('block', `block ${receipt.block} is not shown`)
    need(!seen.has(receipt.receiptHash), 'receipt', `${receipt.receiptHash} is counted twice`)
    seen.add(receipt.receiptHash)
    const itsEpoch = BigInt(header[TIMESTAMP] as Hex) / rewards.epochSeconds
    need(itsEpoch === BigInt(epoch), 'receipt', `${receipt.receiptHash} is of epoch ${itsEpoch}`)
    within('transaction', () => checkTransaction(receipt, header))
    const told = within('receipt', () => paidBy(trace, receipt, header))
    amount += told.amount
    within('row', () => {
      for (const row of receipt.rows) checkRow(trace, receipt, { row, index: told.index })
    })
    rows += receipt.rows.length
  }
  need(amount === BigInt(trace.amount), 'receipt', `the receipts pay ${amount} wei to ${account}`)
  const { accrued } = rewards
  return { ok: true, amount, accrued, receipts: trace.receipts.length, rows }
}

/** What stands in the state of the output's block. */
function rewardsOf({ output, rewards, account, epoch, accrued: said }: PayoutTrace) {
  const root = storageRootOf(output.stateRoot, OPENLEDGER.rewardDistributor, rewards.accountProof)
  if (!root) throw new Error('there is no RewardDistributor')
  const word = (value: bigint): Hex => numberToHex(value, { size: 32 })
  const epochSeconds = slotValue(root, word(EPOCH_SECONDS_SLOT), rewards.epochSeconds.proof)
  if (epochSeconds === 0n) throw new Error('an epoch of no time')
  const inEpoch = keccak256(concatHex([word(BigInt(epoch)), word(ACCRUED_SLOT)]))
  const slot = keccak256(concatHex([pad(account, { size: 32 }), inEpoch]))
  const accrued = slotValue(root, slot, rewards.accrued.proof)
  if (accrued !== BigInt(said)) throw new Error(`${accrued} wei have accrued, not ${said}`)
  return { epochSeconds, accrued }
}

/** Fields of a block's header, which is the output's or one whose hash the state remembers. */
function headerOf(
  { output, history }: PayoutTrace,
  { number, header, history: shown }: TracedBlock,
) {
  const hash = keccak256(header)
  const fields = fromRlp(header, 'hex') as readonly Hex[]
  if (BigInt(fields[NUMBER] as Hex) !== BigInt(number))
    throw new Error(`block ${number} is another`)
  if (hash === output.blockHash) return fields
  if (!shown) throw new Error(`block ${number} is not that of the output`)
  const root = storageRootOf(output.stateRoot, STANDARD.history, history.accountProof)
  const slot = numberToHex(BigInt(number) % HISTORY_BLOCKS, { size: 32 })
  const known = root && numberToHex(slotValue(root, slot, shown.proof), { size: 32 })
  if (known !== hash) throw new Error(`block ${number} has hash ${hash}, the state knows ${known}`)
  return fields
}

const keyOf = (index: number): Hex => toRlp(index === 0 ? '0x' : numberToHex(index))

function checkTransaction(
  { index, transaction, transactionProof }: TracedReceipt,
  header: readonly Hex[],
) {
  const raw = valueInTrie(header[TRANSACTIONS_ROOT] as Hex, keyOf(index), transactionProof)
  if (raw === null || keccak256(raw) !== transaction)
    throw new Error(`transaction ${index} is not ${transaction}`)
}

/** What the block's receipt says that this inference receipt pays the account. */
function paidBy(
  { account, chainId }: PayoutTrace,
  traced: TracedReceipt,
  header: readonly Hex[],
): { amount: bigint; index: number | null } {
  const { receiptHash, receiptProof, sketch, claims } = traced
  const raw = valueInTrie(header[RECEIPTS_ROOT] as Hex, keyOf(traced.index), receiptProof)
  if (raw === null) throw new Error(`the block has no receipt ${traced.index}`)
  // A typed receipt has its type in front (EIP-2718).
  const body = Number.parseInt(raw.slice(2, 4), 16) < 0xc0 ? (`0x${raw.slice(4)}` as Hex) : raw
  const [status, , , logs] = fromRlp(body, 'hex') as unknown as [Hex, Hex, Hex, RawLog[]]
  if (status !== '0x01') throw new Error('the transaction failed')
  const events = logs
    .filter(([address]) => address === OPENLEDGER.receiptRegistry)
    .flatMap(([, topics, data]) => eventOf(topics, data))
    .filter(({ args }) => args.receiptHash === receiptHash)
  const receipt = traced.receipt as unknown as Parameters<typeof hashOf>[0]
  if (hashOf(receipt, chainId) !== receiptHash) throw new Error(`the receipt is not ${receiptHash}`)
  if (keccak256(sketch) !== receipt.sketchHash) throw new Error('the sketch is another')
  if (keccak256(claims) !== receipt.claimsHash) throw new Error('the claims are others')
  let amount = 0n
  let index: number | null = null
  for (const event of events) {
    if (event.eventName === 'Booked')
      for (const [i, name] of event.args.accounts.entries())
        if (name.toLowerCase() === account) amount += event.args.amounts[i] as bigint
    if (event.eventName === 'Attributed' && event.args.account.toLowerCase() === account)
      index = event.args.index
  }
  if (amount !== BigInt(traced.amount)) throw new Error(`${receiptHash} pays ${amount} wei`)
  return { amount, index }
}

type RawLog = readonly [address: Hex, topics: readonly Hex[], data: Hex]

function eventOf(topics: readonly Hex[], data: Hex) {
  try {
    return [decodeEventLog({ abi: EVENTS, topics: topics as [Hex, ...Hex[]], data })]
  } catch {
    // Another event of the registry.
    return []
  }
}

type Message = { readonly sketchHash: Hex; readonly claimsHash: Hex }

function hashOf(receipt: Message, chainId: number): Hex {
  return hashTypedData({
    domain: {
      name: 'OpenLedger',
      version: '1',
      chainId,
      verifyingContract: OPENLEDGER.receiptRegistry,
    },
    types: RECEIPT_TYPES,
    primaryType: 'InferenceReceipt',
    message: numbersOf(receipt) as never,
  })
}

/** Integers come in decimal. */
function numbersOf(receipt: object): object {
  const types = new Map<string, string>(
    RECEIPT_TYPES.InferenceReceipt.map(({ name, type }) => [name, type]),
  )
  return Object.fromEntries(
    Object.entries(receipt).map(([name, value]) => [
      name,
      types.get(name)?.startsWith('uint') ? BigInt(value as string) : value,
    ]),
  )
}

function need(holds: boolean, step: Wrong['step'], reason: string): void {
  if (!holds) throw new Wrong(step, reason)
}

function within<T>(step: Wrong['step'], work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Wrong(step, error instanceof Error ? error.message : String(error))
  }
}
