/**
 * Batches: the sequencer's part of one L2 block (specs: derivation.md, "Batch Format"). A
 * decompressed channel is a concatenation of RLP strings, each `version || content`.
 *
 *   version 0, singular: 0x00 || rlp([parentHash, epochNumber, epochHash, timestamp, [tx...]])
 *   version 1, span: recognised and refused; this chain has never had them.
 */
import { RLP } from '@ethereumjs/rlp'
import { CHANNEL_RLP_BYTES_MAX } from '../../genesis/limits.ts'
import { concatBytes, fromHex, type Hex, toHex } from '../base/bytes.ts'
import { readRlpItem, readRlpItems, rlpUint64 } from './rlp.ts'

const BATCH_VERSION_SINGULAR = 0
const BATCH_VERSION_SPAN = 1

export type SingularBatch = {
  /** Hash of the L2 block before. */
  readonly parentHash: Hex
  /** L1 origin. */
  readonly epochNumber: bigint
  readonly epochHash: Hex
  /** Seconds, of the L2 block. */
  readonly timestamp: bigint
  /** EIP-2718 bytes, deposits excluded. */
  readonly transactions: readonly Uint8Array[]
}

export type BatchFault =
  | 'not an RLP string'
  | 'empty batch'
  | 'span batch'
  | 'unknown batch version'
  | 'malformed singular batch'

/** Where a decompressed channel is read next. */
export type ChannelReader = {
  readonly id: Hex
  readonly bytes: Uint8Array
  readonly offset: number
}

export type NextBatch =
  | { readonly kind: 'batch'; readonly batch: SingularBatch; readonly reader: ChannelReader }
  /** The channel cannot be read further. */
  | { readonly kind: 'fault'; readonly fault: BatchFault }
  /** Nothing complete is left; `restBytes` of an unfinished item are ignored. */
  | { readonly kind: 'end'; readonly restBytes: number }

export function nextBatch(reader: ChannelReader): NextBatch {
  const item = readRlpItem(reader.bytes, reader.offset)
  if (!item) return { kind: 'end', restBytes: reader.bytes.length - reader.offset }
  if (item.kind !== 'string') return { kind: 'fault', fault: 'not an RLP string' }
  const batch = decodeBatch(item.content)
  if (typeof batch === 'string') return { kind: 'fault', fault: batch }
  return { kind: 'batch', batch, reader: { ...reader, offset: item.end } }
}

/** Transactions are views into `data`. */
export function decodeBatch(data: Uint8Array): SingularBatch | BatchFault {
  if (data.length === 0) return 'empty batch'
  if (data[0] === BATCH_VERSION_SPAN) return 'span batch'
  if (data[0] !== BATCH_VERSION_SINGULAR) return 'unknown batch version'
  return decodeSingular(data.subarray(1)) ?? 'malformed singular batch'
}

/** `0x00 || rlp(...)`; the channel wraps it in one more RLP string. */
export function encodeBatch(batch: SingularBatch): Uint8Array {
  const body = RLP.encode([
    fromHex(batch.parentHash),
    batch.epochNumber,
    fromHex(batch.epochHash),
    batch.timestamp,
    [...batch.transactions],
  ])
  return concatBytes(Uint8Array.of(BATCH_VERSION_SINGULAR), body)
}

/** A channel's content before compression. */
export function encodeBatches(batches: readonly SingularBatch[]): Uint8Array {
  return concatBytes(...batches.map((batch) => RLP.encode(encodeBatch(batch))))
}

function decodeSingular(rlp: Uint8Array): SingularBatch | null {
  const list = readRlpItem(rlp, 0)
  if (list?.kind !== 'list' || list.end !== rlp.length) return null
  const fields = readRlpItems(list.content, 5)
  if (fields?.length !== 5) return null
  const [parent, number, hash, time, txs] = fields
  const epochNumber = rlpUint64(number)
  const timestamp = rlpUint64(time)
  const hashes = [parent, hash].every(
    (item) => item?.kind === 'string' && item.content.length === 32,
  )
  if (!parent || !hash || !hashes || epochNumber === null || timestamp === null) return null
  if (txs?.kind !== 'list') return null
  // Each transaction takes at least a byte, so the channel's limit bounds their number.
  const items = readRlpItems(txs.content, CHANNEL_RLP_BYTES_MAX)
  if (!items || items.some((item) => item.kind !== 'string')) return null
  return {
    parentHash: toHex(parent.content),
    epochNumber,
    epochHash: toHex(hash.content),
    timestamp,
    transactions: items.map((item) => item.content),
  }
}
