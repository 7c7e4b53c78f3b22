/**
 * The batch encoder: the exact inverse of derivation, and as pure.
 *
 *   L2 blocks -> singular batches -> RLP -> zlib or brotli, whichever is smaller -> frames
 *             -> one frame per blob (or per calldata transaction) -> submissions
 *
 * One channel never mixes with another, and one range of blocks is one channel. `checkSubmissions` reads
 * the result back with the derivation code before anybody pays for posting it.
 */
import { BLOB_DATA_BYTES_MAX, CHANNEL_RLP_BYTES_MAX } from '../../genesis/limits.ts'
import { bytesEqual, fromHex, type Hex, keccakHex } from '../../node/base/bytes.ts'
import { assert } from '../../node/base/errors.ts'
import { isDeposit } from '../../node/chain/deposit.ts'
import { l1AttributesOf } from '../../node/chain/l1-attributes.ts'
import type { Block } from '../../node/chain/types.ts'
import {
  type ChannelReader,
  encodeBatch,
  encodeBatches,
  nextBatch,
  type SingularBatch,
} from '../../node/derive/batch.ts'
import { decodeBlob, encodeBlob } from '../../node/derive/blob.ts'
import { type StagingChannel, stageFrame } from '../../node/derive/channel.ts'
import { compressChannel, decompressChannel } from '../../node/derive/compression.ts'
import {
  CHANNEL_ID_BYTES,
  decodePayload,
  encodePayload,
  FRAME_NUMBER_MAX,
  FRAME_OVERHEAD_BYTES,
  type Frame,
} from '../../node/derive/frame.ts'

/** Derivation version byte and one frame's overhead. */
const PAYLOAD_OVERHEAD_BYTES = 1 + FRAME_OVERHEAD_BYTES
export const BLOB_FRAME_BYTES: number = BLOB_DATA_BYTES_MAX - PAYLOAD_OVERHEAD_BYTES

/** What one L1 transaction carries: blobs, or calldata. */
export type Submission =
  | { readonly kind: 'blobs'; readonly blobs: readonly Uint8Array[] }
  | { readonly kind: 'calldata'; readonly data: Uint8Array }

/** Consecutive blocks as one compressed channel. */
export type Channel = {
  readonly id: Hex
  readonly from: bigint
  readonly to: bigint
  /** Of block `to`. */
  readonly toHash: Hex
  /** Size of the batches before compression. */
  readonly rawBytes: number
  readonly bytes: Uint8Array
}

export type EncodeTarget =
  | { readonly kind: 'blobs'; readonly blobsPerTransactionMax: number }
  | { readonly kind: 'calldata'; readonly dataBytesMax: number }

/** The sequencer's part of a block: all but the deposits. */
export function batchOf(block: Block): SingularBatch {
  const origin = l1AttributesOf(block)
  assert(origin, `block ${block.header.number} begins with its L1 attributes`)
  return {
    parentHash: block.header.parentHash,
    epochNumber: origin.number,
    epochHash: origin.hash,
    timestamp: block.header.timestamp,
    transactions: block.transactions.filter((transaction) => !isDeposit(transaction)),
  }
}

/** About what a block adds to a channel before compression, without encoding it. */
export function batchBytes(block: Block): number {
  const [, ...rest] = block.transactions
  return rest.reduce((sum, transaction) => sum + transaction.length + 4, 100)
}

/**
 * Would derivation drop these blocks if they came in the L1 block after `l1Height`? Past its sequencing window
 * an epoch has empty blocks. Where ours are empty too, they are the same ones, and batches for them are
 * skipped ("past"); one with transactions is replaced, and everything behind it with it.
 */
export function isExpired(
  blocks: readonly Block[],
  l1Height: bigint,
  seqWindowSize: bigint,
): boolean {
  for (const block of blocks) {
    const { epochNumber, transactions } = batchOf(block)
    if (epochNumber + seqWindowSize > l1Height) return false
    if (transactions.length > 0) return true
  }
  return false
}

/** Oldest block first. */
export function encodeChannel(blocks: readonly Block[]): Channel {
  const [first, last] = [blocks[0], blocks[blocks.length - 1]]
  assert(first && last, 'a channel holds at least one block')
  const raw = encodeBatches(blocks.map(batchOf))
  assert(raw.length <= CHANNEL_RLP_BYTES_MAX, `a channel of ${raw.length} bytes is over the limit`)
  // The id names the content, so that the same blocks have the same id after a restart.
  const name = keccakHex(fromHex(first.hash), fromHex(last.hash))
  return {
    id: `0x${name.slice(2, 2 + 2 * CHANNEL_ID_BYTES)}`,
    from: first.header.number,
    to: last.header.number,
    toHash: last.hash,
    rawBytes: raw.length,
    bytes: smallestChannel(raw),
  }
}

/** The transactions that carry a channel, in the order in which they must be posted. */
export function encodeSubmissions(channel: Channel, target: EncodeTarget): Submission[] {
  if (target.kind === 'calldata') {
    const frames = cut(channel, target.dataBytesMax - PAYLOAD_OVERHEAD_BYTES)
    return frames.map((frame) => ({ kind: 'calldata', data: encodePayload([frame]) }))
  }
  const blobs = cut(channel, BLOB_FRAME_BYTES).map((frame) => encodeBlob(encodePayload([frame])))
  const size = target.blobsPerTransactionMax
  return Array.from({ length: Math.ceil(blobs.length / size) }, (_, i) => ({
    kind: 'blobs',
    blobs: blobs.slice(i * size, (i + 1) * size),
  }))
}

/** What the derivation code makes of the submissions, compared with the blocks; null when it is right. */
export function checkSubmissions(
  submissions: readonly Submission[],
  blocks: readonly Block[],
): string | null {
  const payloads = submissions.flatMap((submission) =>
    submission.kind === 'blobs' ? submission.blobs.map(decodeBlob) : [submission.data],
  )
  let channel: StagingChannel | null = null
  let complete: { id: Hex; bytes: Uint8Array } | undefined
  for (const payload of payloads) {
    if (typeof payload === 'string') return `blob: ${payload}`
    const decoded = decodePayload(payload)
    if (!decoded.ok) return `payload: ${decoded.fault}`
    for (const frame of decoded.frames) {
      const staged = stageFrame(channel, frame, { l1Number: 0n, channelTimeout: 1n })
      if (staged.frameFault) return `frame: ${staged.frameFault}`
      channel = staged.channel
      complete ??= staged.complete
    }
  }
  if (!complete) return 'the channel does not complete'
  const bytes = decompressChannel(complete.bytes)
  if (!bytes) return 'the channel does not decompress'
  let reader: ChannelReader = { id: complete.id, bytes, offset: 0 }
  for (const block of blocks) {
    const next = nextBatch(reader)
    if (next.kind !== 'batch')
      return `block ${block.header.number}: ${next.kind === 'fault' ? next.fault : 'missing'}`
    if (!bytesEqual(encodeBatch(next.batch), encodeBatch(batchOf(block)))) {
      return `block ${block.header.number} reads back differently`
    }
    reader = next.reader
  }
  return reader.offset === bytes.length ? null : 'the channel holds more than the blocks'
}

function smallestChannel(raw: Uint8Array): Uint8Array {
  const [zlib, brotli] = [compressChannel(raw, 'zlib'), compressChannel(raw, 'brotli')]
  return brotli.length < zlib.length ? brotli : zlib
}

function cut(channel: Channel, frameBytes: number): Frame[] {
  const { id: channelId, bytes } = channel
  const count = Math.max(1, Math.ceil(bytes.length / frameBytes))
  assert(count <= FRAME_NUMBER_MAX + 1, `a channel of ${count} frames is over the limit`)
  return Array.from({ length: count }, (_, number) => ({
    channelId,
    number,
    data: bytes.subarray(number * frameBytes, (number + 1) * frameBytes),
    isLast: number === count - 1,
  }))
}
