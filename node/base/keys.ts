/** secp256k1 keys as Ethereum names them: the address of a key, and a key read from an operator's hex. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bytesToBigint, fromHex, type Hex, keccak, toHex } from './bytes.ts'

/** @param publicKey uncompressed, 65 bytes */
export function addressOfPublicKey(publicKey: Uint8Array): Hex {
  return toHex(keccak(publicKey.subarray(1)).subarray(12))
}

export function addressOfKey(privateKey: Uint8Array): Hex {
  return addressOfPublicKey(secp256k1.getPublicKey(privateKey, false))
}

/** @throws RangeError saying what a key is; never with the key in it. */
export function parsePrivateKey(hex: string): Uint8Array {
  const bytes = /^0x[0-9a-fA-F]{64}$/.test(hex) ? fromHex(hex) : new Uint8Array(0)
  const scalar = bytesToBigint(bytes)
  if (scalar === 0n || scalar >= secp256k1.Point.Fn.ORDER) {
    throw new RangeError(
      'a private key is 32 bytes of 0x hex, above zero and below the order of secp256k1',
    )
  }
  return bytes
}
