/**
 * Who signs for a role, without saying where the key is: in this process, or behind a remote signer that
 * never shows it. Everything the node signs is the keccak256 of some bytes, so a signer takes those bytes, not
 * the hash: remote signers insist on seeing what they sign.
 *
 *   transaction   an unsigned typed transaction (EIP-2718), of L1 or of L2
 *   typed-data    0x1901 || domain separator 32 || struct hash 32 (EIP-712): receipts, vouchers, outputs
 *   block         domain 32 || chain id 32 || payload hash 32, the domain being zero
 *   envelope      the same, the domain being that of a gossiped statement (`node/p2p/signature.ts`)
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { concatBytes, type Hex, keccak } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { addressOfKey, addressOfPublicKey } from '../base/keys.ts'

/** What the bytes are; a remote signer may have a method of its own for each. */
export type SignedKind = 'transaction' | 'typed-data' | 'block' | 'envelope'

export type Signer = {
  readonly address: Hex
  /**
   * r || s || v over keccak256(preimage), v = 0 or 1, s in the lower half; 65 bytes.
   * @throws NodeError `signer-unreachable` (retry), `signer-refused` (user), `signer-wrong-key` (fatal)
   */
  sign(kind: SignedKind, preimage: Uint8Array): Promise<Uint8Array>
  /** That the key is there and is this address: called once before a role starts. */
  check(): Promise<void>
}

export function localSigner(privateKey: Uint8Array): Signer {
  return {
    address: addressOfKey(privateKey),
    sign: async (_kind, preimage) => {
      const recovered = secp256k1.sign(keccak(preimage), privateKey, {
        prehash: false,
        format: 'recovered',
      })
      // noble puts the recovery bit first, Ethereum last.
      return concatBytes(recovered.subarray(1), recovered.subarray(0, 1))
    },
    check: async () => {},
  }
}

/** Whether a signature could not be had: whatever it was for waits, or is refused, and is not lost. */
export function isSignerFault(error: unknown): error is NodeError {
  return error instanceof NodeError && error.code.startsWith('signer-')
}

/** A signer's fault as callers from outside hear of it: not where the signer is, which is for the log. */
export function withoutSigner(error: unknown): unknown {
  if (!isSignerFault(error)) return error
  const why = 'this node cannot sign now: try again soon'
  return new NodeError('signer-unavailable', 'retry', why, {}, error)
}

/** The address that made a signature of the form above, or undefined when it is none. */
export function recoverAddress(preimage: Uint8Array, signature: Uint8Array): Hex | undefined {
  const v = signature[64]
  if (signature.length !== 65 || (v !== 0 && v !== 1)) return undefined
  try {
    const parsed = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact')
    if (parsed.hasHighS()) return undefined
    const publicKey = parsed.addRecoveryBit(v).recoverPublicKey(keccak(preimage))
    return addressOfPublicKey(publicKey.toBytes(false))
  } catch {
    return undefined
  }
}
