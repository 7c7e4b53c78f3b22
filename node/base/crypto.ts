/**
 * The node's own crypto: native when the addon is there, else the twins in TypeScript (noble), which give the
 * same bytes more slowly. Chosen once, when the process starts; `OPENLEDGER_NATIVE_CRYPTO=off` chooses the
 * twins.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import * as native from '../../native/index.ts'

export type CryptoSuite = {
  /** null: native. Else why it is not. */
  readonly fault: string | null
  keccak256(message: Uint8Array): Uint8Array
  /** `x 32 || y 32` of who signed `hash`, or null when nobody can have. `recoveryId` 0 or 1. */
  recover(request: RecoverRequest): Uint8Array | null
}

export type RecoverRequest = {
  readonly hash: Uint8Array
  /** 32 bytes each. */
  readonly r: Uint8Array
  readonly s: Uint8Array
  readonly recoveryId: number
}

/** The twin, and what there is without an addon. */
export const plainCrypto: Omit<CryptoSuite, 'fault'> = {
  keccak256: keccak_256,
  recover: ({ hash, r, s, recoveryId }) => {
    const signature = new Uint8Array(65)
    signature[0] = recoveryId
    signature.set(r, 1)
    signature.set(s, 33)
    try {
      const key = secp256k1.recoverPublicKey(signature, hash, { prehash: false })
      return secp256k1.Point.fromBytes(key).toBytes(false).slice(1)
    } catch {
      return null
    }
  },
}

export const nativeCrypto: Omit<CryptoSuite, 'fault'> = {
  keccak256: native.keccak256,
  recover: (request) => native.recoverPublicKey(encodeRecoverRequest(request)),
}

export const crypto: CryptoSuite = choose()

export function encodeRecoverRequest({ hash, r, s, recoveryId }: RecoverRequest): Uint8Array {
  const out = new Uint8Array(native.RECOVER_REQUEST_BYTES)
  out.set(hash)
  out.set(r, 32)
  out.set(s, 64)
  out[96] = recoveryId
  return out
}

function choose(): CryptoSuite {
  const fault =
    process.env.OPENLEDGER_NATIVE_CRYPTO === 'off'
      ? 'switched off by OPENLEDGER_NATIVE_CRYPTO'
      : native.cryptoFault()
  return fault === null ? { fault, ...nativeCrypto } : { fault, ...plainCrypto }
}
