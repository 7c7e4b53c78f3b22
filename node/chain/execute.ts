/**
 * `executeBlock`: the one function that turns attributes into a block, for the builder, the follower
 * and the prover alike.
 *
 *   parent + attributes -> system writes -> attributes.transactions (all of them) -> candidates
 *                       -> header, receipts, state writes
 *
 * It reads state and its arguments and nothing else. A transaction among the attributes that cannot
 * run makes the block invalid; a candidate that cannot run is skipped and said why. Whatever happens,
 * the given state is spent: run again from a new one.
 */
import { OP } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import {
  createBlock,
  EMPTY_OMMERS_HASH,
  EMPTY_REQUESTS_HASH,
  headerHash,
  transactionsRoot,
  ZERO_NONCE,
} from './block.ts'
import { mergeBlooms } from './bloom.ts'
import { type DepositTx, decodeDepositTx, isDeposit } from './deposit.ts'
import { type InvalidBlock, type SkippedTx, TxError, type TxRefusal } from './errors.ts'
import { executeDeposit } from './execute-deposit.ts'
import { executeTx } from './execute-tx.ts'
import { encodeExtraData, type L1Prices, l1FeeOfSize, nextBaseFee } from './fees.ts'
import { createMachine, type Machine } from './machine.ts'
import { receiptsRoot } from './receipt.ts'
import { RlpError } from './rlp.ts'
import { rollupRules } from './rules.ts'
import type { StateWrites, WorldState } from './state.ts'
import { writeSystemState } from './system.ts'
import { decodeTx, type SignedTx, txHash } from './tx.ts'
import type { Block, Header, L1Fee, PayloadAttributes, Receipt } from './types.ts'

export type ExecuteInput = {
  readonly config: Pick<ChainConfig, 'l2ChainId' | 'blockTime'>
  readonly parent: Header
  readonly attributes: PayloadAttributes
  /** Fresh, at the parent's state root. */
  readonly state: WorldState
  /** Signed transactions a builder may include after the given ones, best first. */
  readonly candidates?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** Asked between candidates, and once in 64 jumps or calls of one that runs; true ends the block, and the one that
   * runs is undone and skipped as `out-of-time`. What must be in the block is never interrupted. */
  readonly deadline?: () => boolean
  readonly observer?: BlockObserver
}

/** Told of a block while it runs, for tracing. It must change nothing; what it throws ends the run. */
export type BlockObserver = {
  /** The machine is new. */
  begin(machine: Machine): void
  /** Nothing of the transaction has happened. */
  beforeTx(raw: Uint8Array, index: number): void
  afterTx(receipt: Receipt): void
}

export type Executed = {
  readonly kind: 'executed'
  readonly block: Block
  readonly receipts: readonly Receipt[]
  readonly writes: StateWrites
  readonly skipped: readonly SkippedTx[]
}

/** Gas of the cheapest transaction: a block with less left is full. */
const TX_GAS_MIN = 21_000n
/** Skipped candidates told to the caller; a builder is not kept busy by junk for ever. */
const SKIPPED_MAX = 10_000

export async function executeBlock(input: ExecuteInput): Promise<Executed | InvalidBlock> {
  const { config, parent, attributes, state } = input
  const wrong = attributesFault(input)
  if (wrong) return { kind: 'invalid', reason: wrong }
  const environment = {
    number: parent.number + 1n,
    coinbase: OP.sequencerFeeVault,
    timestamp: attributes.timestamp,
    gasLimit: attributes.gasLimit,
    mixHash: attributes.prevRandao,
    baseFeePerGas: nextBaseFee(parent),
    parentHash: headerHash(parent),
    parentBeaconBlockRoot: attributes.parentBeaconBlockRoot,
  }
  writeSystemState(state, environment)
  const rules = rollupRules(config.l2ChainId)
  const clock = new CandidateClock(input.deadline)
  const tick = input.deadline ? { tick: () => clock.tick() } : {}
  const machine = createMachine({ rules, state, environment, ...tick })
  const run = new BlockRun(machine, config, input.observer)
  input.observer?.begin(machine)

  for (const [txIndex, raw] of attributes.transactions.entries()) {
    const refusal = await run.include(raw)
    if (refusal) {
      const reason = `transaction ${txIndex} cannot be included: ${refusal.message}`
      return { kind: 'invalid', reason, txIndex, txError: refusal }
    }
  }
  const skipped = input.candidates ? await run.fill(input.candidates, clock) : []

  const writes = state.finish()
  const { transactions, receipts } = run
  const header: Header = {
    parentHash: environment.parentHash,
    ommersHash: EMPTY_OMMERS_HASH,
    coinbase: environment.coinbase,
    stateRoot: toHex(writes.stateRoot),
    transactionsRoot: transactionsRoot(transactions),
    receiptsRoot: receiptsRoot(receipts),
    logsBloom: mergeBlooms(receipts.map((receipt) => receipt.logsBloom)),
    difficulty: 0n,
    number: environment.number,
    gasLimit: environment.gasLimit,
    gasUsed: run.gasUsed,
    timestamp: environment.timestamp,
    extraData: encodeExtraData({
      denominator: attributes.eip1559Denominator,
      elasticity: attributes.eip1559Elasticity,
    }),
    mixHash: environment.mixHash,
    nonce: ZERO_NONCE,
    baseFeePerGas: environment.baseFeePerGas,
    withdrawalsRoot: toHex(writes.storageRootOf(OP.l2ToL1MessagePasser)),
    blobGasUsed: 0n,
    excessBlobGas: 0n,
    parentBeaconBlockRoot: environment.parentBeaconBlockRoot,
    requestsHash: EMPTY_REQUESTS_HASH,
  }
  return { kind: 'executed', block: createBlock(header, transactions), receipts, writes, skipped }
}

/** null when the attributes can make a block on `parent`. */
function attributesFault({ config, parent, attributes }: ExecuteInput): string | null {
  const due = parent.timestamp + config.blockTime
  if (attributes.timestamp !== due) {
    return `timestamp is ${attributes.timestamp}, the block after ${parent.timestamp} is due at ${due}`
  }
  if (attributes.gasLimit <= 0n || attributes.gasLimit >= 2n ** 63n) {
    return `gas limit ${attributes.gasLimit} is out of range`
  }
  for (const name of ['eip1559Denominator', 'eip1559Elasticity'] as const) {
    const value = attributes[name]
    if (!Number.isInteger(value) || value < 1 || value > 0xffffffff) return `${name} is ${value}`
  }
  const firstSigned = attributes.transactions.findIndex((raw) => !isDeposit(raw))
  if (firstSigned >= 0 && attributes.transactions.slice(firstSigned).some(isDeposit)) {
    return 'a deposit stands behind a signed transaction'
  }
  return null
}

class OutOfTime extends Error {}

const OUT_OF_TIME: TxRefusal = {
  code: 'out-of-time',
  message: 'the time of its block was over before it had run to its end',
}
/** The deadline is looked at once in so many jumps and calls. */
const JUMPS_PER_LOOK = 64

/** The builder's deadline while a candidate runs. */
class CandidateClock {
  readonly isOver: () => boolean
  isRunning = false
  #jumps = 0

  constructor(deadline: () => boolean = () => false) {
    this.isOver = deadline
  }

  tick(): void {
    if (!this.isRunning || ++this.#jumps % JUMPS_PER_LOOK !== 0) return
    if (this.isOver()) throw new OutOfTime()
  }
}

/** The block so far. */
class BlockRun {
  readonly transactions: Uint8Array[] = []
  readonly receipts: Receipt[] = []
  gasUsed = 0n
  readonly #machine: Machine
  readonly #chainId: number
  readonly #observer: BlockObserver | undefined
  #prices: L1Prices | null | undefined
  /** By FastLZ size: most transactions of a block are of few sizes. */
  readonly #l1Fees = new Map<number, L1Fee>()

  constructor(
    machine: Machine,
    config: Pick<ChainConfig, 'l2ChainId'>,
    observer: BlockObserver | undefined,
  ) {
    this.#machine = machine
    this.#observer = observer
    this.#chainId = config.l2ChainId
  }

  get gasLeft(): bigint {
    return BigInt(this.#machine.block.header.gasLimit) - this.gasUsed
  }

  /** null: it is in. A refusal leaves everything as it was. */
  async include(raw: Uint8Array): Promise<TxRefusal | null> {
    const { state } = this.#machine
    await state.checkpoint()
    this.#observer?.beforeTx(raw, this.transactions.length)
    const result = isDeposit(raw) ? await this.#deposit(raw) : await this.#signed(raw)
    if ('refusal' in result) {
      this.#machine.unwind(0)
      return result.refusal
    }
    this.#observer?.afterTx(result.receipt)
    await state.commit()
    this.transactions.push(raw)
    this.receipts.push(result.receipt)
    this.gasUsed = result.receipt.cumulativeGasUsed
    return null
  }

  async fill(
    candidates: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    clock: CandidateClock,
  ): Promise<SkippedTx[]> {
    const skipped: SkippedTx[] = []
    for await (const raw of candidates) {
      if (clock.isOver() || this.gasLeft < TX_GAS_MIN || skipped.length >= SKIPPED_MAX) break
      clock.isRunning = true
      const reason = await this.#tryInclude(raw)
      clock.isRunning = false
      if (reason) skipped.push({ hash: txHash(raw), reason })
      if (reason?.code === 'out-of-time') break
    }
    return skipped
  }

  /** A fault of ours inside a candidate costs that candidate, not the block. */
  async #tryInclude(raw: Uint8Array): Promise<TxRefusal | null> {
    if (isDeposit(raw)) return { code: 'deposit-not-allowed', message: 'deposits come from L1' }
    try {
      return await this.include(raw)
    } catch (error) {
      this.#machine.unwind(0)
      if (error instanceof OutOfTime) return OUT_OF_TIME
      return { code: 'execution-fault', message: `execution failed: ${messageOf(error)}` }
    }
  }

  async #deposit(raw: Uint8Array): Promise<{ receipt: Receipt } | { refusal: TxRefusal }> {
    const tx = readDeposit(raw)
    if ('code' in tx) return { refusal: tx }
    const room = { gasLeft: this.gasLeft, cumulativeGasUsed: this.gasUsed }
    return { receipt: await executeDeposit(this.#machine, raw, tx, room) }
  }

  async #signed(raw: Uint8Array): Promise<{ receipt: Receipt } | { refusal: TxRefusal }> {
    const tx = readSigned(raw, this.#chainId)
    if ('code' in tx) return { refusal: tx }
    return executeTx(this.#machine, tx, {
      gasLeft: this.gasLeft,
      cumulativeGasUsed: this.gasUsed,
      l1Fee: this.#l1FeeOf(tx.fastLzBytes),
      isWatched: this.#observer !== undefined,
    })
  }

  /** Prices stay as they are once the first signed transaction is reached. */
  #l1FeeOf(fastLzBytes: number): L1Fee | null {
    const { state, rules } = this.#machine
    this.#prices ??= rules.l1Prices((address, key) => state.slot(address, key))
    if (!this.#prices) return null
    let fee = this.#l1Fees.get(fastLzBytes)
    if (!fee) {
      fee = l1FeeOfSize(fastLzBytes, this.#prices)
      this.#l1Fees.set(fastLzBytes, fee)
    }
    return fee
  }
}

function readDeposit(raw: Uint8Array): DepositTx | TxRefusal {
  try {
    return decodeDepositTx(raw)
  } catch (error) {
    if (error instanceof RlpError) return { code: 'malformed', message: error.message }
    throw error
  }
}

function readSigned(raw: Uint8Array, chainId: number): SignedTx | TxRefusal {
  try {
    return decodeTx(raw, chainId)
  } catch (error) {
    if (error instanceof TxError) return error
    throw error
  }
}
