/**
 * From blocks to rows of the outbox: encode, choose blobs or calldata by cost, read back with the
 * derivation code, bid, sign. Nothing is sent here, and nothing is written but our blobs to the archive.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import { NodeError } from '../../node/base/errors.ts'
import type { Block } from '../../node/chain/types.ts'
import type { BlobArchive } from '../../node/l1/blob-archive.ts'
import { costAtMost, GAS_PER_BLOB } from '../../node/l1/fees.ts'
import type { AccountState, L1Sender } from '../../node/l1/sender.ts'
import { calldataGas, type L1Fees, type SignedL1Transaction } from '../../node/l1/signing.ts'
import {
  type Channel,
  checkSubmissions,
  type EncodeTarget,
  encodeChannel,
  encodeSubmissions,
  type Submission,
} from './encode.ts'
import type { BatcherOptions } from './options.ts'
import { attemptOf, loadOf, newestOf, type OutboxRow, withAttempt } from './outbox.ts'

export type PostingInput = {
  /** Oldest first, at least one. */
  readonly blocks: readonly Block[]
  readonly account: AccountState
  /** What may be used; the cheaper one is. */
  readonly kinds: readonly Submission['kind'][]
  /** Nonces to be used first, each by a replacement. */
  readonly open: readonly OutboxRow[]
  /** The first fresh nonce. */
  readonly nonce: bigint
  /** wei that all of it may cost. */
  readonly purse: bigint
  /** Transactions that may be offered at once. */
  readonly room: number
  readonly options: BatcherOptions
  readonly modules: {
    readonly config: Pick<ChainConfig, 'batchInbox'>
    readonly sender: Pick<L1Sender, 'bid' | 'sign'>
    readonly archive?: BlobArchive
    readonly encode?: typeof encodeSubmissions
  }
}

export type Posting =
  | { readonly kind: 'rows'; readonly channel: Channel; readonly rows: readonly OutboxRow[] }
  | { readonly kind: 'wait'; readonly reason: string }

/** @throws NodeError `batch-incorrect` (fatal) when derivation would not read the blocks back. */
export async function preparePosting(input: PostingInput): Promise<Posting> {
  const { blocks, account, kinds, modules } = input
  const channel = encodeChannel(blocks)
  const encode = modules.encode ?? encodeSubmissions
  const offers = kinds
    .map((kind) => encode(channel, targetOf(kind, input.options)))
    .sort((a, b) => (marketCost(a, account) < marketCost(b, account) ? -1 : 1))
  let reason = ''
  for (const submissions of offers) {
    const bids = bidAll(submissions, input)
    if (typeof bids === 'string') {
      reason ||= bids
      continue
    }
    const fault = checkSubmissions(submissions, blocks)
    if (fault) {
      const message = `blocks ${channel.from} to ${channel.to} do not read back: ${fault}`
      throw new NodeError('batch-incorrect', 'fatal', message)
    }
    return { kind: 'rows', channel, rows: await signAll(submissions, bids, channel, input) }
  }
  return { kind: 'wait', reason }
}

function targetOf(kind: Submission['kind'], options: BatcherOptions): EncodeTarget {
  const { blobsPerTransactionMax, calldataBytesMax } = options
  return kind === 'blobs'
    ? { kind, blobsPerTransactionMax }
    : { kind, dataBytesMax: calldataBytesMax }
}

/** One bid for each, or why there is none. The purse has to cover all of them together. */
function bidAll(submissions: readonly Submission[], input: PostingInput): L1Fees[] | string {
  const { account, open, modules } = input
  let wei = input.purse
  const bids: L1Fees[] = []
  for (const [part, submission] of submissions.entries()) {
    const size = sizeOfSubmission(submission)
    const replaced = open[part]
    const bid = modules.sender.bid(account, {
      isBlob: submission.kind === 'blobs',
      ...(replaced && { fees: newestOf(replaced).fees }),
      purse: { ...size, wei },
    })
    if (bid.kind === 'overCeiling') {
      const { maxFeePerGas, maxFeePerBlobGas } = bid.needed
      return `L1 fees are over the ceiling: ${maxFeePerGas} wei per gas, ${maxFeePerBlobGas} per blob gas`
    }
    if (bid.kind !== 'bid') return 'the balance does not pay for the next batch'
    wei -= costAtMost(bid.fees, size)
    bids.push(bid.fees)
  }
  return bids
}

async function signAll(
  submissions: readonly Submission[],
  bids: readonly L1Fees[],
  channel: Channel,
  { account, open, nonce, room, modules }: PostingInput,
): Promise<OutboxRow[]> {
  const rows: OutboxRow[] = []
  const fresh = open.length
  for (const [part, submission] of submissions.entries()) {
    const replaced = open[part]
    const own = replaced?.nonce ?? nonce + BigInt(part - fresh)
    const payload = { ...submission, to: modules.config.batchInbox }
    const signed = await modules.sender.sign(payload, own, bids[part] as L1Fees)
    await archiveBlobs(submission, signed, modules.archive)
    const attempt = attemptOf(signed, {
      kind: submission.kind,
      atL1: account.head.number,
      load: loadOf(channel, { part, parts: submissions.length }),
    })
    const base: OutboxRow = replaced
      ? withAttempt(replaced, attempt)
      : { nonce: own, state: 'held', attempts: [attempt] }
    // A nonce that was offered once stays so: its older attempts may be in a pool.
    rows.push({ ...base, state: replaced || part < room ? 'offered' : 'held' })
  }
  return rows
}

async function archiveBlobs(
  submission: Submission,
  { versionedHashes }: SignedL1Transaction,
  archive: BlobArchive | undefined,
): Promise<void> {
  if (submission.kind !== 'blobs') return
  for (const [i, blob] of submission.blobs.entries()) {
    const hash = versionedHashes[i]
    if (hash) await archive?.put(hash, blob)
  }
}

function sizeOfSubmission(submission: Submission): { gas: bigint; blobs: number } {
  return submission.kind === 'blobs'
    ? { gas: calldataGas(new Uint8Array(0)), blobs: submission.blobs.length }
    : { gas: calldataGas(submission.data), blobs: 0 }
}

/** wei at the fees of the moment. */
function marketCost(submissions: readonly Submission[], market: AccountState): bigint {
  return submissions.reduce((sum, submission) => {
    const { gas, blobs } = sizeOfSubmission(submission)
    return sum + gas * market.baseFee + BigInt(blobs) * GAS_PER_BLOB * market.blobBaseFee
  }, 0n)
}
