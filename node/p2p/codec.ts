/**
 * Our messages, as msgpack maps with fixed fields. Strangers' bytes meet three gates before anything
 * is believed:
 *
 *   1. `scan`: a walk over the bytes that allows one flat map of names, byte strings and unsigned
 *      integers, with every declared length checked against the bytes that are there. msgpack
 *      itself has nested values, extensions and 4-billion-entry lists; none of them pass.
 *   2. each field present, of its type, within its limits; none besides.
 *   3. the message encoded again gives the same bytes: one message has one spelling, so a copy that
 *      differs only in spelling cannot pass for a new one.
 */
import { Packr } from 'msgpackr'
import { bytesEqual } from '../base/bytes.ts'
import { P2PError } from './errors.ts'
import {
  BLOCK_BYTES_MAX,
  CONTENT_REQUEST_BYTES_MAX,
  ENVELOPE_BYTES_MAX,
  INFERENCE_BODY_BYTES_MAX,
  INFERENCE_HEAD_BYTES_MAX,
  OPENING_OPERATORS_MAX,
  OPENING_TILES_MAX,
  PEERS_PER_REQUEST_MAX,
  RANGE_BLOCKS_MAX,
  TRANSACTION_BYTES_MAX,
} from './options.ts'
import type { Envelope, SignedBlock } from './types.ts'

export type Messages = {
  readonly blocks: SignedBlock
  readonly transactions: { readonly raw: Uint8Array }
  readonly receipts: Envelope
  readonly verdicts: Envelope
  /** Asks for `count` blocks from number `start` up. */
  readonly blocksRequest: { readonly start: bigint; readonly count: number }
  /** Asks for signed records of at most `count` peers. */
  readonly peersRequest: { readonly count: number }
  /** Asks for at most `length` bytes of a piece of content from `offset` on. */
  readonly contentRequest: {
    readonly hash: Uint8Array
    readonly offset: bigint
    readonly length: number
  }
  /** A question to a provider: `head` is JSON {path, headers}, `body` what HTTP would carry. */
  readonly inferenceRequest: { readonly head: Uint8Array; readonly body: Uint8Array }
  /** Asks a provider how it computed a receipt's answer. `depth` 0: its operators; 1: an operator's tiles; 2: a tile's values.
   * What is not asked for is 0. */
  readonly openingRequest: {
    readonly receipt: Uint8Array
    readonly depth: number
    readonly operator: number
    readonly tile: number
  }
}
export type MessageKind = keyof Messages

export const SIGNATURE_BYTES = 65
const HASH_BYTES = 32

type Field =
  | { readonly type: 'bytes'; readonly min: number; readonly max: number }
  /** A number. */
  | { readonly type: 'u32'; readonly min: number; readonly max: number }
  /** A bigint, nine bytes on the wire (int 64 below 2^63, else uint 64). */
  | { readonly type: 'u64' }

const SIGNATURE: Field = { type: 'bytes', min: SIGNATURE_BYTES, max: SIGNATURE_BYTES }
const ENVELOPE = {
  payload: { type: 'bytes', min: 1, max: ENVELOPE_BYTES_MAX },
  signature: SIGNATURE,
} as const satisfies Record<string, Field>

const SCHEMAS: Record<MessageKind, Readonly<Record<string, Field>>> = {
  blocks: { block: { type: 'bytes', min: 1, max: BLOCK_BYTES_MAX }, signature: SIGNATURE },
  transactions: { raw: { type: 'bytes', min: 1, max: TRANSACTION_BYTES_MAX } },
  receipts: ENVELOPE,
  verdicts: ENVELOPE,
  blocksRequest: { start: { type: 'u64' }, count: { type: 'u32', min: 1, max: RANGE_BLOCKS_MAX } },
  peersRequest: { count: { type: 'u32', min: 1, max: PEERS_PER_REQUEST_MAX } },
  contentRequest: {
    hash: { type: 'bytes', min: HASH_BYTES, max: HASH_BYTES },
    offset: { type: 'u64' },
    length: { type: 'u32', min: 1, max: CONTENT_REQUEST_BYTES_MAX },
  },
  inferenceRequest: {
    head: { type: 'bytes', min: 2, max: INFERENCE_HEAD_BYTES_MAX },
    body: { type: 'bytes', min: 2, max: INFERENCE_BODY_BYTES_MAX },
  },
  openingRequest: {
    receipt: { type: 'bytes', min: HASH_BYTES, max: HASH_BYTES },
    depth: { type: 'u32', min: 0, max: 2 },
    operator: { type: 'u32', min: 0, max: OPENING_OPERATORS_MAX },
    tile: { type: 'u32', min: 0, max: OPENING_TILES_MAX },
  },
}

/** Room for names and lengths around the fields. */
const OVERHEAD_BYTES = 128
const NAME_BYTES_MAX = 31

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'bigint',
  moreTypes: false,
})

/** @throws P2PError `bad-argument` when our own message breaks its limits. */
export function encodeMessage<K extends MessageKind>(kind: K, message: Messages[K]): Uint8Array {
  const fault = fieldFault(kind, message)
  if (fault) throw new P2PError('bad-argument', `${kind} message: ${fault}`)
  return pack(kind, message)
}

/** The most bytes a message of this kind can have. */
export function messageBytesMax(kind: MessageKind): number {
  return Object.values(SCHEMAS[kind]).reduce(
    (sum, field) => sum + (field.type === 'bytes' ? field.max : 9),
    OVERHEAD_BYTES,
  )
}

/** @throws P2PError `bad-message`, `too-large`. */
export function decodeMessage<K extends MessageKind>(kind: K, bytes: Uint8Array): Messages[K] {
  const max = messageBytesMax(kind)
  if (bytes.length > max) {
    throw new P2PError('too-large', `${kind} message has ${bytes.length} bytes, at most ${max}`)
  }
  const scanned = scan(bytes)
  if (scanned) throw bad(kind, scanned)
  let value: unknown
  try {
    value = packr.unpack(bytes)
  } catch {
    throw bad(kind, 'not msgpack')
  }
  const fault = fieldFault(kind, value)
  if (fault) throw bad(kind, fault)
  if (!bytesEqual(pack(kind, value as Messages[K]), bytes)) throw bad(kind, 'not canonical')
  return value as Messages[K]
}

/** Fields in the schema's order, whatever order the caller's object has. */
function pack<K extends MessageKind>(kind: K, message: Messages[K]): Uint8Array {
  const fields = message as unknown as Record<string, unknown>
  const ordered = Object.keys(SCHEMAS[kind]).map((name) => [name, plain(fields[name])])
  return new Uint8Array(packr.pack(Object.fromEntries(ordered)))
}

/** A Buffer is a Uint8Array that msgpackr would write the same; the plain view costs nothing. */
function plain(value: unknown): unknown {
  return Buffer.isBuffer(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.length)
    : value
}

function fieldFault(kind: MessageKind, value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a map'
  const schema = SCHEMAS[kind]
  const fields = value as Record<string, unknown>
  const unknown = Object.keys(fields).find((name) => !Object.hasOwn(schema, name))
  if (unknown !== undefined) return `unknown field ${JSON.stringify(unknown)}`
  for (const [name, field] of Object.entries(schema)) {
    if (!Object.hasOwn(fields, name)) return `no field ${name}`
    const fault = valueFault(field, fields[name])
    if (fault) return `${name} ${fault}`
  }
  return undefined
}

function valueFault(field: Field, value: unknown): string | undefined {
  switch (field.type) {
    case 'bytes':
      if (!(value instanceof Uint8Array)) return 'is not bytes'
      return value.length < field.min || value.length > field.max
        ? `has ${value.length} bytes, not ${field.min} to ${field.max}`
        : undefined
    case 'u32':
      if (typeof value !== 'number' || !Number.isInteger(value)) return 'is not an integer'
      return value < field.min || value > field.max
        ? `is ${value}, not ${field.min} to ${field.max}`
        : undefined
    case 'u64':
      return typeof value !== 'bigint' || value < 0n || value >> 64n ? 'is not a u64' : undefined
  }
}

/** Undefined when `bytes` are one flat map of our subset, else what they are not. */
function scan(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const head = bytes[0] ?? 0
  if (head < 0x80 || head > 0x8f) return 'not a small map'
  let at = 1
  for (let left = head & 0x0f; left > 0; left--) {
    const name = bytes[at] ?? 0
    if (name < 0xa0 || name > 0xa0 + NAME_BYTES_MAX) return 'a name is not a short string'
    at += 1 + (name & 0x1f)
    if (at >= bytes.length) return 'cut off'
    const end = valueEnd(view, at)
    if (end === undefined) return 'a value is neither bytes nor an unsigned integer'
    if (end > bytes.length) return 'cut off'
    at = end
  }
  return at === bytes.length ? undefined : 'bytes after the end'
}

function valueEnd(view: DataView, at: number): number | undefined {
  const head = view.getUint8(at)
  const left = view.byteLength - at - 1
  if (head <= 0x7f) return at + 1
  switch (head) {
    case 0xc4:
      return left < 1 ? Infinity : at + 2 + view.getUint8(at + 1)
    case 0xc5:
      return left < 2 ? Infinity : at + 3 + view.getUint16(at + 1)
    case 0xc6:
      return left < 4 ? Infinity : at + 5 + view.getUint32(at + 1)
    case 0xcc:
      return at + 2
    case 0xcd:
      return at + 3
    case 0xce:
      return at + 5
    // msgpackr writes a bigint below 2^63 as a signed integer; the field's check refuses the sign.
    case 0xcf:
    case 0xd3:
      return at + 9
    default:
      return undefined
  }
}

function bad(kind: MessageKind, what: string): P2PError {
  return new P2PError('bad-message', `not a ${kind} message: ${what}`)
}
