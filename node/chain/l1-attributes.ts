/**
 * The L1 attributes deposit, first in every L2 block: it tells L1Block which L1 block the L2 block
 * hangs on and what L1 data costs. Packed Isthmus calldata, 176 bytes, big-endian:
 *
 *   selector 4 | baseFeeScalar 4 | blobBaseFeeScalar 4 | sequenceNumber 8 | timestamp 8 | number 8
 *   | baseFee 32 | blobBaseFee 32 | hash 32 | batcherHash 32 | operatorFeeScalar 4 | ...Constant 8
 *
 * There is no operator fee: the last two are zero. specs: protocol/isthmus/l1-attributes.md.
 */
import { L1_ATTRIBUTES_DEPOSITOR, OP } from '../../genesis/addresses.ts'
import { bigintToBytes, bytesToBigint, concatBytes, fromHex, toHex } from '../base/bytes.ts'
import { decodeDepositTx, encodeDepositTx, isDeposit, l1AttributesSourceHash } from './deposit.ts'
import { RlpError } from './rlp.ts'
import type { Block, L1Attributes } from './types.ts'

const SELECTOR = fromHex('0x098999be')
const CALLDATA_BYTES = 176
const GAS = 1_000_000n

export function encodeL1Attributes(attrs: L1Attributes): Uint8Array {
  return concatBytes(
    SELECTOR,
    bigintToBytes(BigInt(attrs.baseFeeScalar), 4),
    bigintToBytes(BigInt(attrs.blobBaseFeeScalar), 4),
    bigintToBytes(attrs.sequenceNumber, 8),
    bigintToBytes(attrs.timestamp, 8),
    bigintToBytes(attrs.number, 8),
    bigintToBytes(attrs.baseFee, 32),
    bigintToBytes(attrs.blobBaseFee, 32),
    fromHex(attrs.hash),
    bigintToBytes(bytesToBigint(fromHex(attrs.batcher)), 32),
    new Uint8Array(12),
  )
}

/** @throws RlpError unless `data` is what `encodeL1Attributes` gives. */
export function decodeL1Attributes(data: Uint8Array): L1Attributes {
  if (data.length !== CALLDATA_BYTES) {
    throw new RlpError(`L1 attributes have ${data.length} bytes, not ${CALLDATA_BYTES}`)
  }
  const integerAt = (at: number, size: number) => bytesToBigint(data.subarray(at, at + size))
  if (toHex(data.subarray(0, 4)) !== toHex(SELECTOR)) throw new RlpError('not L1 attributes')
  if (integerAt(132, 12) !== 0n) throw new RlpError('batcher hash is not an address')
  if (integerAt(164, 12) !== 0n) throw new RlpError('operator fee is not zero')
  return {
    baseFeeScalar: Number(integerAt(4, 4)),
    blobBaseFeeScalar: Number(integerAt(8, 4)),
    sequenceNumber: integerAt(12, 8),
    timestamp: integerAt(20, 8),
    number: integerAt(28, 8),
    baseFee: integerAt(36, 32),
    blobBaseFee: integerAt(68, 32),
    hash: toHex(data.subarray(100, 132)),
    batcher: toHex(data.subarray(144, 164)),
  }
}

/** The raw transaction. */
export function l1AttributesDeposit(attrs: L1Attributes): Uint8Array {
  return encodeDepositTx({
    sourceHash: l1AttributesSourceHash(attrs.hash, attrs.sequenceNumber),
    from: L1_ATTRIBUTES_DEPOSITOR,
    to: OP.l1Block,
    mint: 0n,
    value: 0n,
    gas: GAS,
    isSystemTx: false,
    data: encodeL1Attributes(attrs),
  })
}

/** The L1 origin a block claims; null when its first transaction is no L1 attributes deposit (as in
 * the genesis block). */
export function l1AttributesOf(block: Pick<Block, 'transactions'>): L1Attributes | null {
  const raw = block.transactions[0]
  if (!raw || !isDeposit(raw)) return null
  try {
    const tx = decodeDepositTx(raw)
    if (tx.from !== L1_ATTRIBUTES_DEPOSITOR || tx.to !== OP.l1Block) return null
    const attrs = decodeL1Attributes(tx.data)
    return l1AttributesSourceHash(attrs.hash, attrs.sequenceNumber) === tx.sourceHash ? attrs : null
  } catch (error) {
    if (error instanceof RlpError) return null
    throw error
  }
}
