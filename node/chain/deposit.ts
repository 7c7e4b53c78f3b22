/**
 * The deposit transaction, type 0x7E: what an L1 event (or the protocol itself) puts into an L2 block.
 * `0x7E || rlp([sourceHash, from, to, mint, value, gas, isSystemTx, data])`; it carries no signature
 * and no nonce: its source hash makes it unique. specs: protocol/deposits.md.
 */
import {
  bigintToBytes,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  utf8,
} from '../base/bytes.ts'
import {
  bytesOf,
  decodeRlp,
  encodeRlp,
  hexOf,
  integer,
  integerOf,
  listOf,
  RlpError,
} from './rlp.ts'

export const DEPOSIT_TYPE = 0x7e

export type DepositTx = {
  readonly sourceHash: Hex
  readonly from: Hex
  /** null creates a contract. */
  readonly to: Hex | null
  /** wei of OPEN that come into being for `from`; never undone, even when the call fails. */
  readonly mint: bigint
  readonly value: bigint
  readonly gas: bigint
  readonly isSystemTx: boolean
  readonly data: Uint8Array
}

export function isDeposit(raw: Uint8Array): boolean {
  return raw[0] === DEPOSIT_TYPE
}

export function encodeDepositTx(tx: DepositTx): Uint8Array {
  return concatBytes(
    Uint8Array.of(DEPOSIT_TYPE),
    encodeRlp([
      fromHex(tx.sourceHash),
      fromHex(tx.from),
      tx.to === null ? new Uint8Array(0) : fromHex(tx.to),
      integer(tx.mint),
      integer(tx.value),
      integer(tx.gas),
      tx.isSystemTx ? Uint8Array.of(1) : new Uint8Array(0),
      tx.data,
    ]),
  )
}

/** @throws RlpError unless `raw` is the one encoding of a deposit. */
export function decodeDepositTx(raw: Uint8Array): DepositTx {
  if (!isDeposit(raw)) throw new RlpError(`not a deposit: first byte ${raw[0] ?? 'missing'}`)
  const fields = listOf(decodeRlp(raw.subarray(1)), 'deposit', 8)
  const to = bytesOf(fields[2], 'to')
  const system = integerOf(fields[6], 'isSystemTx', 1)
  if (system > 1n) throw new RlpError(`isSystemTx is ${system}, not 0 or 1`)
  return {
    sourceHash: hexOf(fields[0], 'sourceHash', 32),
    from: hexOf(fields[1], 'from', 20),
    to: to.length ? hexOf(to, 'to', 20) : null,
    mint: integerOf(fields[3], 'mint'),
    value: integerOf(fields[4], 'value'),
    gas: integerOf(fields[5], 'gas', 8),
    isSystemTx: system === 1n,
    data: bytesOf(fields[7], 'data'),
  }
}

/** Domain 0: a user's deposit, by the L1 block and the log's index in that block. */
export function userDepositSourceHash(l1BlockHash: Hex, logIndex: bigint | number): Hex {
  return sourceHash(0n, keccak(fromHex(l1BlockHash), bigintToBytes(BigInt(logIndex), 32)))
}

/** Domain 1: the L1 attributes of one L2 block. */
export function l1AttributesSourceHash(l1BlockHash: Hex, sequenceNumber: bigint): Hex {
  return sourceHash(1n, keccak(fromHex(l1BlockHash), bigintToBytes(sequenceNumber, 32)))
}

/** Domain 2: a protocol upgrade, by its intent text. */
export function upgradeSourceHash(intent: string): Hex {
  return sourceHash(2n, keccak(utf8(intent)))
}

function sourceHash(domain: bigint, inner: Uint8Array): Hex {
  return keccakHex(bigintToBytes(domain, 32), inner)
}
