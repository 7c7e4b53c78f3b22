/**
 * Blocks and headers on the wire and on disk: the Prague RLP of Ethereum, read strictly. A header has
 * 21 fields, its hash is keccak256 of their RLP. A block is `[header, transactions, ommers,
 * withdrawals]` with the last two empty; a legacy transaction stands in the list as itself, a typed
 * one as a byte string.
 */
import { fromHex, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { BLOOM_BYTES } from './bloom.ts'
import {
  bytesOf,
  decodeRlp,
  encodeRlp,
  hexOf,
  integer,
  integerOf,
  listOf,
  RlpError,
  type RlpItem,
} from './rlp.ts'
import { orderedRoot } from './trie.ts'
import type { Block, Header } from './types.ts'

/** keccak256(rlp([])). */
export const EMPTY_OMMERS_HASH: Hex =
  '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
/** sha256(""): no EIP-7685 requests exist on L2. */
export const EMPTY_REQUESTS_HASH: Hex =
  '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const EXTRA_DATA_BYTES_MAX = 32

export function encodeHeader(h: Header): Uint8Array {
  return encodeRlp(headerItem(h))
}

export function headerHash(header: Header): Hex {
  return keccakHex(encodeHeader(header))
}

/** @throws RlpError */
export function decodeHeader(bytes: Uint8Array): Header {
  return headerOf(decodeRlp(bytes))
}

export function createBlock(header: Header, transactions: readonly Uint8Array[]): Block {
  return { hash: headerHash(header), header, transactions }
}

export function transactionsRoot(transactions: readonly Uint8Array[]): Hex {
  return toHex(orderedRoot(transactions))
}

export function encodeBlock(block: Block): Uint8Array {
  const transactions = block.transactions.map((raw) => (isLegacy(raw) ? decodeRlp(raw) : raw))
  return encodeRlp([headerItem(block.header), transactions, [], []])
}

/** Checks the shape and that the transactions are the header's; whether they execute to it is
 * `executeBlock`'s to say. @throws RlpError */
export function decodeBlock(bytes: Uint8Array): Block {
  const block = decodeStoredBlock(bytes)
  const root = transactionsRoot(block.transactions)
  if (root !== block.header.transactionsRoot) {
    throw new RlpError(
      `transactions root is ${root}, the header says ${block.header.transactionsRoot}`,
    )
  }
  return block
}

/** A block this node has run itself: its transactions need no hashing again. @throws RlpError */
export function decodeStoredBlock(bytes: Uint8Array): Block {
  const fields = listOf(decodeRlp(bytes), 'block', 4)
  const header = headerOf(fields[0])
  const transactions = listOf(fields[1], 'transactions').map((item) => {
    if (Array.isArray(item)) return encodeRlp(item)
    if (item.length === 0 || isLegacy(item)) throw new RlpError('legacy transaction as a string')
    return item
  })
  if (listOf(fields[2], 'ommers').length) throw new RlpError('ommers are not empty')
  if (listOf(fields[3], 'withdrawals').length) throw new RlpError('withdrawals are not empty')
  return createBlock(header, transactions)
}

export const EMPTY_BLOOM: Uint8Array = new Uint8Array(BLOOM_BYTES)
export const ZERO_NONCE: Uint8Array = new Uint8Array(8)

/** EIP-2718: a type byte is below 0x80, an RLP list begins at 0xc0. */
function isLegacy(raw: Uint8Array): boolean {
  return (raw[0] ?? 0) >= 0xc0
}

function headerItem(h: Header): RlpItem {
  return [
    fromHex(h.parentHash),
    fromHex(h.ommersHash),
    fromHex(h.coinbase),
    fromHex(h.stateRoot),
    fromHex(h.transactionsRoot),
    fromHex(h.receiptsRoot),
    h.logsBloom,
    integer(h.difficulty),
    integer(h.number),
    integer(h.gasLimit),
    integer(h.gasUsed),
    integer(h.timestamp),
    h.extraData,
    fromHex(h.mixHash),
    h.nonce,
    integer(h.baseFeePerGas),
    fromHex(h.withdrawalsRoot),
    integer(h.blobGasUsed),
    integer(h.excessBlobGas),
    fromHex(h.parentBeaconBlockRoot),
    fromHex(h.requestsHash),
  ]
}

function headerOf(item: RlpItem | undefined): Header {
  const f = listOf(item, 'header', 21)
  const extraData = bytesOf(f[12], 'extraData')
  if (extraData.length > EXTRA_DATA_BYTES_MAX) {
    throw new RlpError(`extraData has ${extraData.length} bytes, at most ${EXTRA_DATA_BYTES_MAX}`)
  }
  return {
    parentHash: hexOf(f[0], 'parentHash', 32),
    ommersHash: hexOf(f[1], 'ommersHash', 32),
    coinbase: hexOf(f[2], 'coinbase', 20),
    stateRoot: hexOf(f[3], 'stateRoot', 32),
    transactionsRoot: hexOf(f[4], 'transactionsRoot', 32),
    receiptsRoot: hexOf(f[5], 'receiptsRoot', 32),
    logsBloom: bytesOf(f[6], 'logsBloom', BLOOM_BYTES),
    difficulty: integerOf(f[7], 'difficulty'),
    number: integerOf(f[8], 'number', 8),
    gasLimit: integerOf(f[9], 'gasLimit', 8),
    gasUsed: integerOf(f[10], 'gasUsed', 8),
    timestamp: integerOf(f[11], 'timestamp', 8),
    extraData,
    mixHash: hexOf(f[13], 'mixHash', 32),
    nonce: bytesOf(f[14], 'nonce', 8),
    baseFeePerGas: integerOf(f[15], 'baseFeePerGas'),
    withdrawalsRoot: hexOf(f[16], 'withdrawalsRoot', 32),
    blobGasUsed: integerOf(f[17], 'blobGasUsed', 8),
    excessBlobGas: integerOf(f[18], 'excessBlobGas', 8),
    parentBeaconBlockRoot: hexOf(f[19], 'parentBeaconBlockRoot', 32),
    requestsHash: hexOf(f[20], 'requestsHash', 32),
  }
}
