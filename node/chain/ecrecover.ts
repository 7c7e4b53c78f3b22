/** `ecrecover` as EthereumJS asks for it (`Common.customCrypto`), over the node's own crypto. */
import { bigintToBytes, bytesToBigint } from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'

/** `v`: 0 or 1, 27 or 28, or EIP-155 with a chain id. 64 bytes. @throws Error when there is no such key. */
export function ecrecover(
  hash: Uint8Array,
  v: bigint,
  r: Uint8Array,
  s: Uint8Array,
  chainId?: bigint,
): Uint8Array {
  const recoveryId = recoveryIdOf(v, chainId)
  if (recoveryId === null) throw new Error('Invalid signature v value')
  const wide = (bytes: Uint8Array): Uint8Array => bigintToBytes(bytesToBigint(bytes), 32)
  const key = crypto.recover({ hash, r: wide(r), s: wide(s), recoveryId })
  if (!key) throw new Error('Invalid signature: no public key belongs to it')
  return key
}

/** null: none of the forms. */
export function recoveryIdOf(v: bigint, chainId?: bigint): 0 | 1 | null {
  const id = v === 0n || v === 1n ? v : chainId === undefined ? v - 27n : v - chainId * 2n - 35n
  return id === 0n ? 0 : id === 1n ? 1 : null
}
