/**
 * Plain transactions read in one pass: types 0 (EIP-155), 1 and 2 to an address, without access list. These
 * are nearly all there are, and making an EthereumJS object of each took longer than running it.
 *
 * What is not plainly right is null here, and `tx.ts` reads it the general way, which decides and says
 * what is wrong. So this file accepts a part of what EthereumJS accepts and reads it the same; tests
 * compare the two on valid and on damaged transactions.
 */
import { bytesToBigint, type Hex, keccak, keccakHex, toHex } from '../base/bytes.ts'
import type { RecoverRequest } from '../base/crypto.ts'
import { fastLzSize } from './fastlz.ts'
import { gasFloor } from './intrinsic-gas.ts'
import { decodeRlp, encodeRlp, integer, RlpError, type RlpItem } from './rlp.ts'

export type PlainTx = {
  readonly raw: Uint8Array
  readonly hash: Hex
  readonly type: 0 | 1 | 2
  readonly nonce: bigint
  readonly gasLimit: bigint
  readonly to: Hex
  readonly value: bigint
  readonly data: Uint8Array
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly gasFloor: bigint
  readonly fastLzBytes: number
  readonly signature: RecoverRequest
}

/** Fees of at most 2^128: times a gas limit they stay below 2^256. */
const FEE_BYTES_MAX = 16
const UINT64_MAX = 2n ** 64n - 1n
/** EIP-2: half the order of secp256k1. */
const S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/** Of each type: where the fields stand, the signature's three last. */
const LAYOUT = {
  0: { fields: 9, chainId: -1, nonce: 0, tip: 1, cap: 1, gasLimit: 2, to: 3, value: 4, data: 5 },
  1: { fields: 11, chainId: 0, nonce: 1, tip: 2, cap: 2, gasLimit: 3, to: 4, value: 5, data: 6 },
  2: { fields: 12, chainId: 0, nonce: 1, tip: 2, cap: 3, gasLimit: 4, to: 5, value: 6, data: 7 },
} as const

/** null: not plain; it may still be valid. */
export function readPlainTx(raw: Uint8Array, chainId: number): PlainTx | null {
  const first = raw[0] ?? 0
  const type = first >= 0xc0 ? 0 : first
  if (type !== 0 && type !== 1 && type !== 2) return null
  const layout = LAYOUT[type]
  const fields = fieldsOf(type === 0 ? raw : raw.subarray(1), layout.fields)
  if (!fields) return null
  const [to, data] = [fields[layout.to], fields[layout.data]]
  if (!(to instanceof Uint8Array && data instanceof Uint8Array) || to.length !== 20) return null
  if (type !== 0 && !isEmptyList(fields[layout.data + 1])) return null

  const nonce = integerIn(fields[layout.nonce], 8)
  const gasLimit = integerIn(fields[layout.gasLimit], 8)
  const value = integerIn(fields[layout.value], 32)
  const maxFeePerGas = integerIn(fields[layout.cap], FEE_BYTES_MAX)
  const maxPriorityFeePerGas = integerIn(fields[layout.tip], FEE_BYTES_MAX)
  if (nonce === null || gasLimit === null || value === null) return null
  if (maxFeePerGas === null || maxPriorityFeePerGas === null) return null
  if (nonce === UINT64_MAX || maxPriorityFeePerGas > maxFeePerGas) return null

  const signature = signatureOf(raw, fields, type, chainId)
  if (!signature) return null
  const gas = gasFloor({ to, data })
  return {
    raw,
    hash: keccakHex(raw),
    type,
    nonce,
    gasLimit,
    to: toHex(to),
    value,
    data,
    maxFeePerGas,
    maxPriorityFeePerGas,
    gasFloor: gas.intrinsic > gas.calldata ? gas.intrinsic : gas.calldata,
    fastLzBytes: fastLzSize(raw),
    signature,
  }
}

function fieldsOf(body: Uint8Array, count: number): RlpItem[] | null {
  try {
    const fields = decodeRlp(body)
    return Array.isArray(fields) && fields.length === count ? fields : null
  } catch (error) {
    if (error instanceof RlpError) return null
    throw error
  }
}

function isEmptyList(item: RlpItem | undefined): boolean {
  return Array.isArray(item) && item.length === 0
}

function integerIn(item: RlpItem | undefined, bytesMax: number): bigint | null {
  if (!(item instanceof Uint8Array) || item.length > bytesMax || item[0] === 0) return null
  return bytesToBigint(item)
}

function signatureOf(
  raw: Uint8Array,
  fields: readonly RlpItem[],
  type: PlainTx['type'],
  chainId: number,
): RecoverRequest | null {
  const signed = fields.slice(0, -3)
  const [v, r, s] = fields.slice(-3)
  const [vValue, rValue, sValue] = [integerIn(v, 8), integerIn(r, 32), integerIn(s, 32)]
  if (vValue === null || !rValue || !sValue || sValue > S_MAX) return null
  if (type !== 0 && integerIn(fields[0], 8) !== BigInt(chainId)) return null
  const recoveryId = type === 0 ? vValue - BigInt(chainId) * 2n - 35n : vValue
  if (recoveryId !== 0n && recoveryId !== 1n) return null
  const hash =
    type === 0
      ? keccak(encodeRlp([...signed, integer(chainId), new Uint8Array(0), new Uint8Array(0)]))
      : keccak(raw.subarray(0, 1), encodeRlp(signed))
  return {
    hash,
    r: padded(r as Uint8Array),
    s: padded(s as Uint8Array),
    recoveryId: Number(recoveryId),
  }
}

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 32) return bytes
  const out = new Uint8Array(32)
  out.set(bytes, 32 - bytes.length)
  return out
}
