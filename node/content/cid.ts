/**
 * Content hashes as CIDs: version 1, codec raw, multihash keccak-256, base32. The same 32 bytes in the spelling of
 * IPFS and its tools (multiformats/cid).
 */
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create, decode } from 'multiformats/hashes/digest'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import { ContentError } from './errors.ts'

/** multicodec table: keccak-256. */
const KECCAK_256 = 0x1b
const HASH_BYTES = 32

export function cidOf(hash: Hex): string {
  return CID.createV1(raw.code, create(KECCAK_256, fromHex(hash))).toString()
}

/** @throws ContentError `bad-content-hash` for a CID of another codec, hash or version */
export function hashOfCid(text: string): Hex {
  try {
    const { version, code, multihash } = CID.parse(text)
    const { code: hash, digest } = decode(multihash.bytes)
    if (version === 1 && code === raw.code && hash === KECCAK_256 && digest.length === HASH_BYTES) {
      return toHex(digest)
    }
  } catch {}
  throw new ContentError(
    'bad-content-hash',
    `${text.slice(0, 80)} is no CIDv1 of raw bytes by keccak-256`,
  )
}
