/**
 * What stands in public of a private contribution: for each row its leaf and its hash, and the hash of the encrypted
 * payload, which may be erased. So a row is proved, and a version added up, by people who cannot read it
 * (genesis/README.md, Private rows).
 *
 *   "OLPR" || version u8 = 1 || rows u32 || payload hash 32 || rows x (leaf 32 || row hash 32)
 */
import {
  bigintToBytes,
  bytesEqual,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { merkleRoot } from '../base/merkle.ts'
import { ROWS_PER_CONTRIBUTION_MAX } from './rows.ts'

export type Envelope = {
  readonly payloadHash: Hex
  /** What the contribution's rows root is over. */
  readonly leaves: readonly Uint8Array[]
  /** keccak256 of each row, salt included. */
  readonly rowHashes: readonly Uint8Array[]
}

const MAGIC = utf8('OLPR')
const VERSION = 1
const HEAD_BYTES = 41
const ROW_BYTES = 64
/** No longer content is one. */
export const ENVELOPE_BYTES_MAX: number = HEAD_BYTES + ROWS_PER_CONTRIBUTION_MAX * ROW_BYTES

export function encodeEnvelope({ payloadHash, leaves, rowHashes }: Envelope): Uint8Array {
  return concatBytes(
    MAGIC,
    Uint8Array.of(VERSION),
    bigintToBytes(BigInt(leaves.length), 4),
    fromHex(payloadHash),
    ...leaves.flatMap((leaf, i) => [leaf, rowHashes[i] as Uint8Array]),
  )
}

/** @throws NodeError `datanet-rows` */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const rows = Number(bytesToBigint(bytes.subarray(5, 9)))
  const isOne = bytesEqual(bytes.subarray(0, 4), MAGIC) && bytes[4] === VERSION
  if (!isOne || rows === 0 || bytes.length !== HEAD_BYTES + rows * ROW_BYTES)
    throw userError('datanet-rows', `${bytes.length} bytes that are no envelope of private rows`)
  if (rows > ROWS_PER_CONTRIBUTION_MAX)
    throw userError('datanet-rows', `${rows} rows; at most ${ROWS_PER_CONTRIBUTION_MAX}`)
  const at = (i: number, offset: number): Uint8Array =>
    bytes.slice(HEAD_BYTES + i * ROW_BYTES + offset, HEAD_BYTES + i * ROW_BYTES + offset + 32)
  const indices = Array.from({ length: rows }, (_, i) => i)
  return {
    payloadHash: toHex(bytes.subarray(9, HEAD_BYTES)),
    leaves: indices.map((i) => at(i, 0)),
    rowHashes: indices.map((i) => at(i, 32)),
  }
}

/** The rows root that the contribution must have on chain. */
export function envelopeRoot({ leaves }: Pick<Envelope, 'leaves'>): Hex {
  return toHex(merkleRoot(leaves))
}
