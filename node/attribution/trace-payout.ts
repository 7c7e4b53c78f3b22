/**
 * How an account came to what it accrued in an epoch, with a proof of each step (`verify/types.ts`). Everything is read
 * from this node's chain and content; what comes out is checked by `verify/payout.ts`, which believes none of it.
 */
import { OPENLEDGER, STANDARD } from '../../genesis/addresses.ts'
import {
  bigintToBytes,
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  ZERO_HASH,
} from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import type { MerkleTree } from '../base/merkle.ts'
import { encodeHeader } from '../chain/block.ts'
import type { Chain } from '../chain/chain.ts'
import { outputRootOf } from '../chain/output.ts'
import { encodeReceipt } from '../chain/receipt.ts'
import { encodeRlp, integer } from '../chain/rlp.ts'
import { Trie } from '../chain/trie.ts'
import type { Block } from '../chain/types.ts'
import { rowData, rowTree, type SpanCorpus } from './corpus.ts'
import { earningRows, type RowsOfModel, rolesOf } from './earning-rows.ts'
import { type Leaves, leafData, leafTree } from './leaves.ts'
import type { ReceiptLedger } from './ledger.ts'
import type { BookedAt, PayoutIndex } from './payouts.ts'
import type { SettledReceipt } from './settled.ts'
import type {
  PayoutTrace,
  TracedBlock,
  TracedModel,
  TracedOutput,
  TracedReceipt,
  TracedRow,
} from './verify/types.ts'

/** Receipts of one answer. */
const RECEIPTS_MAX = 64
/** Rows of one receipt and channel. */
const ROWS_MAX = 3
/** What the EIP-2935 contract remembers. */
const HISTORY_BLOCKS = 8_191n
const ACCRUED_SLOT = 5n

/** An output that L1 has, in the order of its games. */
export type PostedOutput = {
  readonly game: number
  readonly outputRoot: Hex
  readonly blockNumber: bigint
}

export type TraceModules = {
  readonly chain: Chain
  readonly ledger: Pick<ReceiptLedger, 'get' | 'settled'>
  readonly payouts: PayoutIndex
  /** Newest first; [] when L1 cannot be asked. */
  posted(): Promise<readonly PostedOutput[]>
  /** What of a model's rows this node can show. */
  rows(modelId: Hex): Promise<RowsOfModel>
}

/** Read, and hashed, once for all receipts of an answer. */
type KnownRows = RowsOfModel & { rowTree(): MerkleTree; leafTree(): MerkleTree }
type KnownModules = Omit<TraceModules, 'rows'> & { rows(modelId: Hex): Promise<KnownRows> }

/** @throws NodeError `payout-unknown` when nothing was booked; `payout-old` when no output remembers its blocks */
export async function tracePayout(
  account: Hex,
  epoch: bigint,
  given: TraceModules,
): Promise<PayoutTrace> {
  const modules = { ...given, rows: rowsOnce(given) }
  const { chain, ledger, payouts } = modules
  const booked = await payouts.of(account, epoch, RECEIPTS_MAX + 1)
  await ledger.settled()
  if (booked.length === 0)
    throw userError('payout-unknown', `no receipt of epoch ${epoch} pays ${account}`)
  const shown = booked.slice(0, RECEIPTS_MAX)
  const [first, last] = [shown[0] as BookedAt, shown.at(-1) as BookedAt]
  const { block, game } = await outputFor(first.block, last.block, modules)
  const receipts: TracedReceipt[] = []
  for (const one of shown) receipts.push(await receiptOf(account, one, modules))
  const amount = receipts.reduce((sum, one) => sum + BigInt(one.amount), 0n)
  const state = chain.stateAt(block.hash)
  const accruedAt = accruedSlot(account, epoch)
  const rewards = state.proof(OPENLEDGER.rewardDistributor, [ZERO_HASH, accruedAt])
  const [epochSeconds, accrued] = rewards.storageProof.map(({ key, proof }) => ({
    slot: key,
    proof,
  }))
  const blocks = [...new Set(shown.map((one) => one.block))]
  const history = state.proof(STANDARD.history, blocks.map(historySlot))
  const models = [...new Set(receipts.map(({ receipt }) => receipt.modelId as Hex))]
  return {
    chainId: chain.config.l2ChainId,
    account,
    epoch: Number(epoch),
    amount: amount.toString(),
    accrued: (rewards.storageProof[1]?.value ?? 0n).toString(),
    isComplete: booked.length === shown.length,
    output: outputOf(block, game),
    rewards: {
      accountProof: rewards.accountProof,
      epochSeconds: epochSeconds as { slot: Hex; proof: readonly Hex[] },
      accrued: accrued as { slot: Hex; proof: readonly Hex[] },
    },
    history: { accountProof: history.accountProof },
    blocks: blocks.map((number, i): TracedBlock => {
      const { header, hash } = mustBlock(chain, number)
      const entry = history.storageProof[i]
      const isOwn = hash === block.hash || !entry
      return {
        number: Number(number),
        header: toHex(encodeHeader(header)),
        history: isOwn ? null : { slot: entry.key, proof: entry.proof },
      }
    }),
    models: await Promise.all(models.map((id) => modelOf(id, modules))),
    receipts,
  }
}

function rowsOnce({ rows }: TraceModules): KnownModules['rows'] {
  const known = new Map<Hex, Promise<KnownRows>>()
  const read = async (modelId: Hex): Promise<KnownRows> => {
    const found = await rows(modelId)
    const trees: { row?: MerkleTree; leaf?: MerkleTree } = {}
    return {
      ...found,
      rowTree: () => (trees.row ??= rowTree(found.corpus as SpanCorpus)),
      leafTree: () => (trees.leaf ??= leafTree(found.leaves as Leaves)),
    }
  }
  return (modelId) => {
    const asked = known.get(modelId) ?? read(modelId)
    known.set(modelId, asked)
    return asked
  }
}

/** The oldest output of L1 that is new enough, or this node's own safest block that is. */
async function outputFor(
  first: bigint,
  last: bigint,
  { chain, posted }: Pick<TraceModules, 'chain' | 'posted'>,
): Promise<{ block: Block; game: number | null }> {
  for (const { blockNumber, outputRoot, game } of [...(await posted())].reverse()) {
    const block = blockNumber >= last ? chain.blockByNumber(blockNumber) : null
    if (block && blockNumber - first <= HISTORY_BLOCKS && outputRootOf(block) === outputRoot)
      return { block, game }
  }
  for (const tag of ['finalized', 'safe', 'unsafe'] as const) {
    const { number } = chain.headRef(tag)
    if (number < last) continue
    const at = number - first <= HISTORY_BLOCKS ? number : first + HISTORY_BLOCKS
    if (at < last) break
    return { block: mustBlock(chain, at), game: null }
  }
  throw userError('payout-old', `blocks ${first} to ${last} are too far apart for one proof`)
}

function outputOf(block: Block, game: number | null): TracedOutput {
  const { stateRoot, withdrawalsRoot = ZERO_HASH } = block.header
  return {
    blockNumber: Number(block.header.number),
    stateRoot,
    messagePasserStorageRoot: withdrawalsRoot,
    blockHash: block.hash,
    outputRoot: outputRootOf(block),
    game,
  }
}

async function receiptOf(
  account: Hex,
  { receiptHash, block: number, index }: BookedAt,
  modules: KnownModules,
): Promise<TracedReceipt> {
  const { chain, ledger } = modules
  const settled = await ledger.get(receiptHash)
  if (!settled) throw userError('receipt-unknown', `receipt ${receiptHash} is not in the index yet`)
  const block = mustBlock(chain, number)
  const receipts = chain.receipts(block.hash) ?? []
  const paid = settled.booked.filter((one) => one.account === account)
  return {
    receiptHash,
    block: Number(number),
    transaction: settled.transaction,
    index,
    receiptProof: listProof(receipts.map(encodeReceipt), index),
    transactionProof: listProof(block.transactions, index),
    amount: paid.reduce((sum, one) => sum + one.amount, 0n).toString(),
    roles: rolesOf(account, { ...settled, contributors: settled.contributors.length }),
    receipt: Object.fromEntries(
      Object.entries(settled.receipt).map(([key, value]) => [
        key,
        typeof value === 'bigint' ? value.toString() : value,
      ]),
    ),
    sketch: toHex(settled.sketch),
    claims: toHex(settled.claims),
    rows: rowsOf(account, settled, await modules.rows(settled.receipt.modelId)),
  }
}

/** The account's rows that earned it most, with their proofs. */
function rowsOf(account: Hex, settled: SettledReceipt, rows: KnownRows): TracedRow[] {
  const { corpus, leaves, rowTree, leafTree } = rows
  return earningRows(account, settled, rows, ROWS_MAX).map(
    ({ channel, claim, row, rowHash, place, score }): TracedRow => {
      if (channel !== 'gradient') {
        const leaf = toHex(rowData(corpus?.rows[row] as SpanCorpus['rows'][number]))
        const siblings = rowTree().prove(row).map(toHex)
        return { channel, claim: claim as number, rowHash, place, leaf, siblings }
      }
      const count = leaves?.owners.length as number
      const leaf = toHex(leafData(leaves as Leaves, row))
      const siblings = leafTree().prove(row).map(toHex)
      return { channel, row, count, score, rowHash, place, leaf, siblings }
    },
  )
}

/** The id is the hash of the seal, which lies at its low 20 bytes. */
async function modelOf(modelId: Hex, { chain, rows }: KnownModules): Promise<TracedModel> {
  const seal = chain.stateAt('unsafe').code(`0x${modelId.slice(26)}`)
  const { corpus } = await rows(modelId)
  return { modelId, seal: toHex(seal), corpus: corpus && toHex(corpus.record) }
}

function listProof(values: readonly Uint8Array[], index: number): Hex[] {
  const keyOf = (i: number): Uint8Array => encodeRlp(integer(i))
  const trie = new Trie(() => undefined)
  for (const [i, value] of values.entries()) trie.put(keyOf(i), value)
  const { root, nodes } = trie.commit()
  const known = new Map(nodes.map(({ hash, rlp }) => [toHex(hash), rlp]))
  return new Trie((hash) => known.get(toHex(hash)), root).prove(keyOf(index)).map(toHex)
}

/** `accruedInEpoch[epoch][account]`. */
function accruedSlot(account: Hex, epoch: bigint): Hex {
  const inEpoch = keccakHex(concatBytes(bigintToBytes(epoch, 32), bigintToBytes(ACCRUED_SLOT, 32)))
  return keccakHex(concatBytes(new Uint8Array(12), fromHex(account), fromHex(inEpoch)))
}

function historySlot(number: bigint): Hex {
  return toHex(bigintToBytes(number % HISTORY_BLOCKS, 32))
}

function mustBlock(chain: Chain, number: bigint): Block {
  const block = chain.blockByNumber(number)
  if (!block) throw userError('block-unknown', `block ${number} is not here any more; ask again`)
  return block
}
