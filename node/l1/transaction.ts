/**
 * L1 transactions: from JSON back to the bytes that were signed. The encoding gives the hash (and
 * with the others the transactions root), the signature gives the sender; what the endpoint says
 * about either is not used. Types 0, 1, 2, 3 (without its blobs), 4.
 */

import { RLP } from '@ethereumjs/rlp'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { concatBytes, type Hex, keccak, keccakHex } from '../base/bytes.ts'
import { addressOfPublicKey } from '../base/keys.ts'
import { l1Invalid } from './errors.ts'
import { integerBytes } from './header.ts'
import { arrayOf, bytesOf, hexOf, type Json, objectOf, quantityOf } from './json.ts'

export type RlpValue = Uint8Array | RlpValue[]

export type L1Transaction = {
  readonly type: number
  readonly hash: Hex
  /** EIP-2718 bytes as they stand in the block. */
  readonly raw: Uint8Array
  readonly to: Hex | null
  readonly input: Uint8Array
  readonly blobVersionedHashes: readonly Hex[]
  /** What the signature signs, and the signature. */
  readonly signed: {
    readonly hash: Uint8Array
    readonly r: bigint
    readonly s: bigint
    readonly yParity: number
  }
}

/** @throws NodeError `l1-invalid` on a type or field this node does not know. */
export function parseTransaction(value: unknown): L1Transaction {
  const json = objectOf(value, 'transaction')
  const type = Number(quantityOf(json.type ?? '0x0', 'transaction type'))
  const [r, s] = [quantityOf(json.r, 'r'), quantityOf(json.s, 's')]
  const to = json.to === null || json.to === undefined ? null : hexOf(json.to, 'to', 20)
  const input = bytesOf(json.input, 'input')
  const common = { type, to, input }
  if (type === 0)
    return { ...common, ...legacy(json, { to, input, r, s }), blobVersionedHashes: [] }

  const hashes = type === 3 ? arrayOf(json.blobVersionedHashes, 'blobVersionedHashes') : []
  const blobVersionedHashes = hashes.map((hash) => hexOf(hash, 'versioned hash', 32))
  const yParity = Number(quantityOf(json.yParity ?? json.v, 'yParity'))
  const body = typedBody(type, json, { to, input, blobVersionedHashes })
  const raw = typed(type, [...body, ...signature(BigInt(yParity), r, s)])
  const signed = { hash: keccak(typed(type, body)), r, s, yParity }
  return { ...common, raw, hash: keccakHex(raw), blobVersionedHashes, signed }
}

/** The address that signed, or null when the signature is none (an impersonated account of a
 * development chain). */
export function senderOf({ signed }: Pick<L1Transaction, 'signed'>): Hex | null {
  try {
    const point = new secp256k1.Signature(signed.r, signed.s, signed.yParity).recoverPublicKey(
      signed.hash,
    )
    return addressOfPublicKey(point.toBytes(false))
  } catch {
    return null
  }
}

export function typed(type: number, fields: readonly RlpValue[]): Uint8Array {
  return concatBytes(Uint8Array.of(type), RLP.encode(fields as RlpValue[]))
}

type Parts = { to: Hex | null; input: Uint8Array; r: bigint; s: bigint }

function legacy(
  json: Json,
  { to, input, r, s }: Parts,
): Pick<L1Transaction, 'raw' | 'hash' | 'signed'> {
  const v = quantityOf(json.v, 'v')
  const body: RlpValue[] = [
    integer(json, 'nonce'),
    integer(json, 'gasPrice'),
    integer(json, 'gas'),
    addressBytes(to),
    integer(json, 'value'),
    input,
  ]
  // EIP-155: v = 35 + 2 * chainId + yParity, and the chain id is signed along.
  const chainId = v >= 35n ? (v - 35n) / 2n : null
  const yParity = Number(chainId === null ? v - 27n : (v - 35n) % 2n)
  const tail = chainId === null ? [] : [integerBytes(chainId), integerBytes(0n), integerBytes(0n)]
  const raw = RLP.encode([...body, ...signature(v, r, s)])
  return {
    raw,
    hash: keccakHex(raw),
    signed: { hash: keccak(RLP.encode([...body, ...tail])), r, s, yParity },
  }
}

function typedBody(
  type: number,
  json: Json,
  parts: { to: Hex | null; input: Uint8Array; blobVersionedHashes: readonly Hex[] },
): RlpValue[] {
  const head = [integer(json, 'chainId'), integer(json, 'nonce')]
  const call = [integer(json, 'gas'), addressBytes(parts.to), integer(json, 'value'), parts.input]
  const access = accessList(json)
  const fees = () => [integer(json, 'maxPriorityFeePerGas'), integer(json, 'maxFeePerGas')]
  switch (type) {
    case 1:
      return [...head, integer(json, 'gasPrice'), ...call, access]
    case 2:
      return [...head, ...fees(), ...call, access]
    case 3: {
      const hashes = parts.blobVersionedHashes.map((hash) => bytesOf(hash, 'versioned hash', 32))
      return [...head, ...fees(), ...call, access, integer(json, 'maxFeePerBlobGas'), hashes]
    }
    case 4:
      return [...head, ...fees(), ...call, access, authorizations(json)]
    default:
      throw l1Invalid(`transaction of type ${type}, which this node does not know`)
  }
}

function accessList(json: Json): RlpValue {
  return arrayOf(json.accessList ?? [], 'accessList').map((value) => {
    const entry = objectOf(value, 'access list entry')
    const keys = arrayOf(entry.storageKeys, 'storageKeys')
    return [
      bytesOf(entry.address, 'address', 20),
      keys.map((key) => bytesOf(key, 'storage key', 32)),
    ]
  })
}

function authorizations(json: Json): RlpValue {
  return arrayOf(json.authorizationList, 'authorizationList').map((value) => {
    const item = objectOf(value, 'authorization')
    const yParity = integerBytes(quantityOf(item.yParity ?? item.v, 'yParity'))
    const [r, s] = [integer(item, 'r'), integer(item, 's')]
    return [
      integer(item, 'chainId'),
      bytesOf(item.address, 'address', 20),
      integer(item, 'nonce'),
      yParity,
      r,
      s,
    ]
  })
}

function integer(json: Json, name: string): Uint8Array {
  return integerBytes(quantityOf(json[name], name))
}

function addressBytes(address: Hex | null): Uint8Array {
  return address === null ? new Uint8Array(0) : bytesOf(address, 'to', 20)
}

function signature(v: bigint, r: bigint, s: bigint): Uint8Array[] {
  return [v, r, s].map(integerBytes)
}
