/**
 * Private rows: encrypted under a key of their own, that key encrypted to each who may read. Each row has a salt in it,
 * so that no hash of it can be tried with guesses. Pure; randomness is handed in.
 *
 *   rows + salts -> leaves, hashes -> envelope (public, stays)
 *        \-> row file -> XChaCha20-Poly1305(key) -> payload (content, may be erased)
 *   key -> ECIES to a reader's secp256k1 key -> key content; its hash stands on chain (`grant`)
 *
 * ECIES: SEC 1 section 5.1 with an ephemeral key, HKDF-SHA256 (RFC 5869), XChaCha20-Poly1305.
 */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import {
  bigintToBytes,
  bytesEqual,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { messageOf, userError } from '../base/errors.ts'
import { merkleLeaf } from '../base/merkle.ts'
import { type Envelope, encodeEnvelope, envelopeRoot } from './envelope.ts'
import { decodeSaltedRows, encodeRow, encodeRows, type Row } from './rows.ts'

export const KEY_BYTES = 32
export const NONCE_BYTES = 24
export const SALT_BYTES = 32
const POINT_BYTES = 33
const TAG_BYTES = 16
const ROWS_INFO = utf8('openledger/private-rows/1')
const KEY_MAGIC = utf8('OLPK')
const KEY_VERSION = 1
const KEY_HEAD_BYTES = 5
const KEY_CONTENT_BYTES: number = KEY_HEAD_BYTES + POINT_BYTES + KEY_BYTES + TAG_BYTES

export type PrivateRows = {
  readonly rowsRoot: Hex
  /** Of the envelope: what the contribution names. */
  readonly contentHash: Hex
  readonly envelope: Uint8Array
  readonly payload: Uint8Array
}

/** @param random so many bytes; each call gives others */
export function sealRows(
  rows: readonly Row[],
  { key, random }: { readonly key: Uint8Array; readonly random: (size: number) => Uint8Array },
): PrivateRows {
  const salted = rows.map((row) => ({ ...row, salt: toHex(random(SALT_BYTES)) }))
  const bytes = salted.map(encodeRow)
  const leaves = bytes.map(merkleLeaf)
  const rowsRoot = envelopeRoot({ leaves })
  const nonce = random(NONCE_BYTES)
  const sealed = rowsCipher(key, nonce, rowsRoot).encrypt(encodeRows(salted))
  const payload = concatBytes(nonce, sealed)
  const rowHashes = bytes.map((one) => keccak(one))
  const envelope = encodeEnvelope({ payloadHash: keccakHex(payload), leaves, rowHashes })
  return { rowsRoot, contentHash: keccakHex(envelope), envelope, payload }
}

/** Every row checked against the envelope. @throws NodeError `datanet-private` when key or payload are others */
export function openRows(envelope: Envelope, payload: Uint8Array, key: Uint8Array): Row[] {
  if (keccakHex(payload) !== envelope.payloadHash) throw bad('the payload is another one')
  const rowsRoot = envelopeRoot(envelope)
  let file: Uint8Array
  try {
    const cipher = rowsCipher(key, payload.subarray(0, NONCE_BYTES), rowsRoot)
    file = cipher.decrypt(payload.subarray(NONCE_BYTES))
  } catch {
    throw bad('the key does not open the payload')
  }
  const rows = rowsIn(file)
  const { leaves, rowHashes } = envelope
  if (rows.length !== leaves.length) throw bad(`${rows.length} rows; it promises ${leaves.length}`)
  for (const [i, row] of rows.entries()) {
    const bytes = encodeRow(row)
    if (!bytesEqual(merkleLeaf(bytes), leaves[i] as Uint8Array))
      throw bad(`row ${i} has another leaf`)
    if (!bytesEqual(keccak(bytes), rowHashes[i] as Uint8Array))
      throw bad(`row ${i} has another hash`)
  }
  return rows
}

/** One payload can be made that two keys open, to other texts: what comes out says nothing of who read it by another key. */
function rowsIn(file: Uint8Array): Row[] {
  try {
    return decodeSaltedRows(file)
  } catch (error) {
    throw bad(`the key opens something else: ${messageOf(error)}`)
  }
}

/** Whose rows a key is for; it cannot be taken for another's. */
export type KeyPlace = {
  readonly chainId: number
  readonly datanetId: bigint
  readonly rowsRoot: Hex
}

/**
 * The key content for a reader: "OLPK" || version u8 = 1 || ephemeral point 33 || key encrypted 48.
 * @param reader compressed public key, 33 bytes
 * @param ephemeral a fresh secret key
 */
export function wrapKey(
  key: Uint8Array,
  { reader, ephemeral, place }: { reader: Uint8Array; ephemeral: Uint8Array; place: KeyPlace },
): Uint8Array {
  const point = secp256k1.getPublicKey(ephemeral, true)
  const shared = secp256k1.getSharedSecret(ephemeral, reader, true)
  const sealed = keyCipher(shared, { point, reader, place }).encrypt(key)
  return concatBytes(KEY_MAGIC, Uint8Array.of(KEY_VERSION), point, sealed)
}

/** @throws NodeError `datanet-private` when it is not for this key, or these rows */
export function unwrapKey(content: Uint8Array, secret: Uint8Array, place: KeyPlace): Uint8Array {
  const isOne = bytesEqual(content.subarray(0, 4), KEY_MAGIC) && content[4] === KEY_VERSION
  if (!isOne || content.length !== KEY_CONTENT_BYTES) throw bad('this is no key content')
  const point = content.slice(KEY_HEAD_BYTES, KEY_HEAD_BYTES + POINT_BYTES)
  const reader = secp256k1.getPublicKey(secret, true)
  try {
    const shared = secp256k1.getSharedSecret(secret, point, true)
    const cipher = keyCipher(shared, { point, reader, place })
    return cipher.decrypt(content.slice(KEY_HEAD_BYTES + POINT_BYTES))
  } catch {
    throw bad('the key content is for somebody else, or for other rows')
  }
}

function rowsCipher(key: Uint8Array, nonce: Uint8Array, rowsRoot: Hex) {
  return xchacha20poly1305(key, nonce, concatBytes(ROWS_INFO, fromHex(rowsRoot)))
}

/** Key and nonce follow from a shared secret that is used once. */
function keyCipher(
  shared: Uint8Array,
  { point, reader, place }: { point: Uint8Array; reader: Uint8Array; place: KeyPlace },
) {
  const info = concatBytes(
    utf8('openledger/content-key/1'),
    bigintToBytes(BigInt(place.chainId), 8),
    bigintToBytes(place.datanetId, 32),
    fromHex(place.rowsRoot),
    point,
    reader,
  )
  const okm = hkdf(sha256, shared.subarray(1), undefined, info, KEY_BYTES + NONCE_BYTES)
  return xchacha20poly1305(okm.subarray(0, KEY_BYTES), okm.subarray(KEY_BYTES))
}

function bad(why: string): Error {
  return userError('datanet-private', `private rows: ${why}`)
}
