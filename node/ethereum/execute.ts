/**
 * `executeEthereumBlock`: a plain Ethereum block of any fork, from what its producer chose. The twin of
 * `executeBlock` for a chain without L1: the same machine, the same `executeTx`, around them what
 * Ethereum's own blocks do (`system.ts`).
 *
 *   parent + proposal -> system writes -> transactions -> candidates -> withdrawals, requests, rewards
 *                     -> header, receipts, state writes
 *
 * The given state is spent whatever happens.
 */
import { toHex } from '../base/bytes.ts'
import {
  headerHash,
  ommersHash,
  transactionsRoot,
  withdrawalsRoot,
  ZERO_NONCE,
} from '../chain/block.ts'
import { mergeBlooms } from '../chain/bloom.ts'
import { type InvalidBlock, type SkippedTx, TxError, type TxRefusal } from '../chain/errors.ts'
import type { BlockObserver } from '../chain/execute.ts'
import { executeTx } from '../chain/execute-tx.ts'
import { type AncestorHash, createMachine, type Machine } from '../chain/machine.ts'
import { receiptsRoot } from '../chain/receipt.ts'
import type { StateWrites, WorldState } from '../chain/state.ts'
import { decodeTxUnder, type SignedTx, txHash } from '../chain/tx.ts'
import type { EthereumBlock, EthereumHeader, Receipt, Withdrawal } from '../chain/types.ts'
import { type EthereumBlockRules, type EthereumRules, GAS_PER_BLOB } from './rules.ts'
import {
  beginBlock,
  gatherRequests,
  payRewards,
  payWithdrawals,
  requestsHash,
  SystemCallError,
} from './system.ts'

/** What the producer of a block chooses. */
export type Proposal = Pick<
  EthereumHeader,
  'coinbase' | 'timestamp' | 'gasLimit' | 'mixHash' | 'extraData' | 'parentBeaconBlockRoot'
> &
  Partial<Pick<EthereumHeader, 'difficulty' | 'nonce'>> & {
    readonly transactions: readonly Uint8Array[]
    readonly ommers?: readonly EthereumHeader[]
    readonly withdrawals?: readonly Withdrawal[]
  }

export type EthereumInput = {
  readonly rules: EthereumRules
  readonly parent: EthereumHeader
  readonly proposal: Proposal
  /** Fresh, at the parent's state root. */
  readonly state: WorldState
  readonly ancestorHash: AncestorHash
  /** What a builder may add, best first; one that cannot run is skipped. */
  readonly candidates?: Iterable<Uint8Array>
  readonly observer?: BlockObserver
}

export type EthereumExecuted = {
  readonly kind: 'executed'
  readonly block: EthereumBlock
  readonly receipts: readonly Receipt[]
  /** EIP-7685: type and data of each. */
  readonly requests: readonly Uint8Array[]
  readonly writes: StateWrites
  readonly skipped: readonly SkippedTx[]
}

export async function executeEthereumBlock(
  input: EthereumInput,
): Promise<EthereumExecuted | InvalidBlock> {
  const { parent, proposal, state } = input
  const { ommers = [], withdrawals = [] } = proposal
  const opening = openingOf(input)
  const rules = input.rules.at(opening)
  beginBlock(state, opening, rules)
  const { ancestorHash } = input
  const machine = createMachine({ rules, state, environment: opening, ancestorHash })
  const run = new BlockRun(machine, rules, input.observer)
  input.observer?.begin(machine)
  for (const [txIndex, raw] of proposal.transactions.entries()) {
    const refusal = await run.include(raw)
    if (refusal) {
      const reason = `transaction ${txIndex} cannot be included: ${refusal.message}`
      return { kind: 'invalid', reason, txIndex, txError: refusal }
    }
  }
  const skipped: SkippedTx[] = []
  for (const raw of input.candidates ?? []) {
    const reason = await run.include(raw)
    if (reason) skipped.push({ hash: txHash(raw), reason })
  }

  payWithdrawals(state, withdrawals)
  let requests: Uint8Array[] = []
  try {
    if (rules.has(7685)) requests = await gatherRequests(machine, run.receipts, rules)
  } catch (error) {
    if (error instanceof SystemCallError) return { kind: 'invalid', reason: error.message }
    throw error
  }
  if (!rules.isProofOfStake) payRewards(state, opening, ommers, rules)

  const writes = state.finish()
  const { transactions, receipts } = run
  const header: EthereumHeader = {
    ...opening,
    parentHash: headerHash(parent),
    ommersHash: ommersHash(ommers),
    stateRoot: toHex(writes.stateRoot),
    transactionsRoot: transactionsRoot(transactions),
    receiptsRoot: receiptsRoot(receipts),
    logsBloom: mergeBlooms(receipts.map((receipt) => receipt.logsBloom)),
    gasUsed: run.gasUsed,
    ...(rules.has(4895) ? { withdrawalsRoot: withdrawalsRoot(withdrawals) } : {}),
    ...(rules.blobs ? { blobGasUsed: run.blobGasUsed } : {}),
    ...(rules.has(7685) ? { requestsHash: requestsHash(requests) } : {}),
  }
  const block: EthereumBlock = {
    hash: headerHash(header),
    header,
    transactions,
    ...(ommers.length ? { ommers } : {}),
    ...(withdrawals.length ? { withdrawals } : {}),
  }
  return { kind: 'executed', block, receipts, requests, writes, skipped }
}

/** The part of the header that is known before anything runs. */
function openingOf({ rules, parent, proposal }: EthereumInput) {
  const number = parent.number + 1n
  const place = { number, timestamp: proposal.timestamp }
  const { isProofOfStake, has } = rules.at(place)
  const baseFeePerGas = has(1559) ? rules.nextBaseFee(parent) : undefined
  const excessBlobGas = rules.nextExcessBlobGas(parent, place)
  const { parentBeaconBlockRoot } = proposal
  return {
    ...place,
    parentHash: headerHash(parent),
    coinbase: proposal.coinbase,
    gasLimit: proposal.gasLimit,
    mixHash: proposal.mixHash,
    extraData: proposal.extraData,
    difficulty: isProofOfStake ? 0n : (proposal.difficulty ?? parent.difficulty),
    nonce: proposal.nonce ?? ZERO_NONCE,
    ...(baseFeePerGas === undefined ? {} : { baseFeePerGas }),
    ...(excessBlobGas === undefined ? {} : { excessBlobGas }),
    ...(has(4788) && parentBeaconBlockRoot ? { parentBeaconBlockRoot } : {}),
  }
}

/** The block so far. */
class BlockRun {
  readonly transactions: Uint8Array[] = []
  readonly receipts: Receipt[] = []
  gasUsed = 0n
  blobGasUsed = 0n
  readonly #machine: Machine
  readonly #rules: EthereumBlockRules
  readonly #observer: BlockObserver | undefined

  constructor(machine: Machine, rules: EthereumBlockRules, observer: BlockObserver | undefined) {
    this.#machine = machine
    this.#observer = observer
    this.#rules = rules
  }

  /** null: it is in. A refusal leaves everything as it was. */
  async include(raw: Uint8Array): Promise<TxRefusal | null> {
    const { state, block } = this.#machine
    const tx = read(raw, this.#rules)
    if ('code' in tx) return tx
    await state.checkpoint()
    this.#observer?.beforeTx(raw, this.transactions.length)
    const result = await executeTx(this.#machine, tx, {
      gasLeft: block.header.gasLimit - this.gasUsed,
      cumulativeGasUsed: this.gasUsed,
      l1Fee: null,
      isWatched: this.#observer !== undefined,
      blobGasLeft: BigInt(this.#rules.blobs?.max ?? 0) * GAS_PER_BLOB - this.blobGasUsed,
    })
    if ('refusal' in result) {
      this.#machine.unwind(0)
      return result.refusal
    }
    this.#observer?.afterTx(result.receipt)
    await state.commit()
    this.transactions.push(raw)
    this.receipts.push(this.#withRoot(result.receipt))
    this.gasUsed = result.receipt.cumulativeGasUsed
    this.blobGasUsed += tx.blobGas?.used ?? 0n
    return null
  }

  /** Before Byzantium (EIP-658) a receipt carries the state root behind its transaction. */
  #withRoot(receipt: Receipt): Receipt {
    if (this.#rules.common.gteHardfork('byzantium')) return receipt
    return { ...receipt, root: toHex(this.#machine.state.finish().stateRoot) }
  }
}

function read(raw: Uint8Array, rules: EthereumBlockRules): SignedTx | TxRefusal {
  try {
    return decodeTxUnder(rules, raw)
  } catch (error) {
    if (error instanceof TxError) return error
    throw error
  }
}
