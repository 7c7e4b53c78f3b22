/**
 * Making L1 transactions: dynamic-fee (type 2) and blob (type 3) transactions, signed. A blob
 * transaction is *sent* with a sidecar that its hash does not cover:
 *
 *   cells (EIP-7594)   03 || rlp([tx, 1, blobs, commitments, cell proofs])    128 proofs per blob
 *   blob  (EIP-4844)   03 || rlp([tx, blobs, commitments, proofs])            before Fusaka
 */
import { RLP } from '@ethereumjs/rlp'
import { bytesToBigint, fromHex, type Hex, keccakHex } from '../base/bytes.ts'
import type { Signer } from '../keys/signer.ts'
import { integerBytes } from './header.ts'
import { type BlobProofs, proveBlob, versionedHashOf } from './kzg.ts'
import { type RlpValue, typed } from './transaction.ts'

/** wei per gas, and per blob gas for a blob transaction. */
export type L1Fees = {
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly maxFeePerBlobGas: bigint
}

export type BlobProofKind = 'cells' | 'blob'

export type L1Call = {
  readonly chainId: number
  readonly nonce: bigint
  readonly to: Hex
  readonly fees: L1Fees
} & (
  | { readonly kind: 'calldata'; readonly data: Uint8Array }
  | {
      readonly kind: 'blobs'
      readonly blobs: readonly Uint8Array[]
      readonly proofs: BlobProofKind
      /** When they are known: proofs take a while, and do not depend on the fees. */
      readonly proven?: readonly BlobProofs[]
    }
)

export type SignedL1Transaction = {
  readonly hash: Hex
  /** As `eth_sendRawTransaction` takes it, sidecar included. */
  readonly raw: Uint8Array
  readonly nonce: bigint
  readonly gas: bigint
  readonly fees: L1Fees
  readonly versionedHashes: readonly Hex[]
}

const WRAPPER_VERSION_CELLS = 1n
const GAS_TRANSACTION = 21_000n
/** EIP-7623: a token is a zero byte, a non-zero byte is four. */
const GAS_PER_TOKEN = 4n
const GAS_PER_TOKEN_FLOOR = 10n

export async function signL1Transaction(
  call: L1Call,
  signer: Signer,
): Promise<SignedL1Transaction> {
  const { nonce, fees } = call
  const data = call.kind === 'calldata' ? call.data : new Uint8Array(0)
  const gas = calldataGas(data)
  const body: RlpValue[] = [
    integerBytes(BigInt(call.chainId)),
    integerBytes(nonce),
    integerBytes(fees.maxPriorityFeePerGas),
    integerBytes(fees.maxFeePerGas),
    integerBytes(gas),
    fromHex(call.to),
    integerBytes(0n),
    data,
    [],
  ]
  if (call.kind === 'calldata') {
    const raw = typed(2, [...body, ...(await sign(typed(2, body), signer))])
    return { hash: keccakHex(raw), raw, nonce, gas, fees, versionedHashes: [] }
  }
  const { blobs, proofs } = call
  const proven = call.proven ?? (await Promise.all(blobs.map((blob) => proveBlob(blob, proofs))))
  const versionedHashes = proven.map(({ versionedHash }) => versionedHash)
  body.push(integerBytes(fees.maxFeePerBlobGas), versionedHashes.map(fromHex))
  const signed = [...body, ...(await sign(typed(3, body), signer))]
  const sidecar = [
    [...call.blobs],
    proven.map(({ commitment }) => commitment),
    proven.flatMap(({ proofs }) => proofs),
  ]
  const version = call.proofs === 'cells' ? [integerBytes(WRAPPER_VERSION_CELLS)] : []
  const raw = typed(3, [signed, ...version, ...sidecar])
  return { hash: keccakHex(typed(3, signed)), raw, nonce, gas, fees, versionedHashes }
}

/** What a transaction of ours carries, read back from its bytes; a replacement needs no new proofs. */
export function payloadOf(
  raw: Uint8Array,
):
  | { kind: 'calldata'; data: Uint8Array }
  | { kind: 'blobs'; blobs: Uint8Array[]; proven: BlobProofs[] } {
  const fields = RLP.decode(raw.subarray(1)) as RlpValue[]
  if (raw[0] === 2) return { kind: 'calldata', data: fields[7] as Uint8Array }
  const [blobs, commitments, proofs] = fields.slice(-3) as Uint8Array[][] as [
    Uint8Array[],
    Uint8Array[],
    Uint8Array[],
  ]
  const each = proofs.length / blobs.length
  const proven = commitments.map((commitment, i) => ({
    commitment,
    versionedHash: versionedHashOf(commitment),
    proofs: proofs.slice(i * each, (i + 1) * each),
  }))
  return { kind: 'blobs', blobs, proven }
}

/** Gas of a plain call with `data` to an account without code (EIP-2028, EIP-7623). */
export function calldataGas(data: Uint8Array): bigint {
  let tokens = 0n
  for (const byte of data) tokens += byte === 0 ? 1n : 4n
  const [standard, floor] = [tokens * GAS_PER_TOKEN, tokens * GAS_PER_TOKEN_FLOOR]
  return GAS_TRANSACTION + (standard > floor ? standard : floor)
}

async function sign(unsigned: Uint8Array, signer: Signer): Promise<Uint8Array[]> {
  const signature = await signer.sign('transaction', unsigned)
  const parity = BigInt(signature[64] as number)
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32, 64)].map(bytesToBigint)
  return [parity, r as bigint, s as bigint].map(integerBytes)
}
