/**
 * Blocks and headers on the wire and on disk: the RLP of Ethereum, read strictly. A header has 15 fields
 * and what later forks added (21 in Prague), its hash is keccak256 of their RLP. A block is `[header,
 * transactions, ommers]`, since Shanghai with `withdrawals`; a legacy transaction stands in the list as
 * itself, a typed one as a byte string. A rollup's block has the Prague header and empty ommers and
 * withdrawals: `decodeBlock` takes nothing else.
 */
import { fromHex, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
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
import type { Block, EthereumBlock, EthereumHeader, Header, Withdrawal } from './types.ts'

/** keccak256(rlp([])). */
export const EMPTY_OMMERS_HASH: Hex =
  '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
/** sha256(""): no EIP-7685 requests exist on L2. */
export const EMPTY_REQUESTS_HASH: Hex =
  '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const EXTRA_DATA_BYTES_MAX = 32

export function encodeHeader(h: EthereumHeader): Uint8Array {
  return encodeRlp(headerItem(h))
}

export function headerHash(header: EthereumHeader): Hex {
  return keccakHex(encodeHeader(header))
}

/** @throws RlpError */
export function decodeHeader(bytes: Uint8Array): Header {
  return pragueHeader(headerOf(decodeRlp(bytes)))
}

export function createBlock(header: Header, transactions: readonly Uint8Array[]): Block {
  return { hash: headerHash(header), header, transactions }
}

export function transactionsRoot(transactions: readonly Uint8Array[]): Hex {
  return toHex(orderedRoot(transactions))
}

export function ommersHash(ommers: readonly EthereumHeader[]): Hex {
  return keccakHex(encodeRlp(ommers.map(headerItem)))
}

export function withdrawalsRoot(withdrawals: readonly Withdrawal[]): Hex {
  return toHex(orderedRoot(withdrawals.map((one) => encodeRlp(withdrawalItem(one)))))
}

export function encodeBlock(block: EthereumBlock): Uint8Array {
  const { header, transactions, ommers = [], withdrawals = [] } = block
  return encodeRlp([
    headerItem(header),
    transactions.map((raw) => (isLegacy(raw) ? decodeRlp(raw) : raw)),
    ommers.map(headerItem),
    ...(header.withdrawalsRoot === undefined ? [] : [withdrawals.map(withdrawalItem)]),
  ])
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
  const { hash, header, transactions, ommers, withdrawals } = decodeEthereumBlock(bytes)
  const full = pragueHeader(header)
  if (ommers?.length) throw new RlpError('ommers are not empty')
  if (withdrawals?.length) throw new RlpError('withdrawals are not empty')
  return { hash, header: full, transactions }
}

/** A block of any fork; only its shape is checked. @throws RlpError */
export function decodeEthereumBlock(bytes: Uint8Array): EthereumBlock {
  return ethereumBlockOf(decodeRlp(bytes))
}

/** @throws RlpError */
export function ethereumBlockOf(item: RlpItem): EthereumBlock {
  const fields = listOf(item, 'block')
  const header = headerOf(fields[0])
  listOf(fields, 'block', header.withdrawalsRoot === undefined ? 3 : 4)
  const transactions = listOf(fields[1], 'transactions').map((tx) => {
    if (Array.isArray(tx)) return encodeRlp(tx)
    if (tx.length === 0 || isLegacy(tx)) throw new RlpError('legacy transaction as a string')
    return tx
  })
  const ommers = listOf(fields[2], 'ommers').map(headerOf)
  const withdrawals = fields[3] && listOf(fields[3], 'withdrawals').map(withdrawalOf)
  return {
    hash: headerHash(header),
    header,
    transactions,
    ...(ommers.length ? { ommers } : {}),
    ...(withdrawals?.length ? { withdrawals } : {}),
  }
}

export const EMPTY_BLOOM: Uint8Array = new Uint8Array(BLOOM_BYTES)
export const ZERO_NONCE: Uint8Array = new Uint8Array(8)

/** EIP-2718: a type byte is below 0x80, an RLP list begins at 0xc0. */
function isLegacy(raw: Uint8Array): boolean {
  return (raw[0] ?? 0) >= 0xc0
}

function headerItem(h: EthereumHeader): RlpItem {
  const tail = [
    h.baseFeePerGas === undefined ? undefined : integer(h.baseFeePerGas),
    h.withdrawalsRoot && fromHex(h.withdrawalsRoot),
    h.blobGasUsed === undefined ? undefined : integer(h.blobGasUsed),
    h.excessBlobGas === undefined ? undefined : integer(h.excessBlobGas),
    h.parentBeaconBlockRoot && fromHex(h.parentBeaconBlockRoot),
    h.requestsHash && fromHex(h.requestsHash),
  ]
  const present = tail.filter((field) => field !== undefined)
  assert(
    present.every((field, i) => field === tail[i]),
    'a header leaves out a field of its fork',
  )
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
    ...present,
  ]
}

/** Fields of a header before London and from each fork that added some. */
const HEADER_LENGTHS: readonly number[] = [15, 16, 17, 20, 21]

function headerOf(item: RlpItem | undefined): EthereumHeader {
  const f = listOf(item, 'header')
  if (!HEADER_LENGTHS.includes(f.length)) {
    throw new RlpError(`header has ${f.length} items, not ${HEADER_LENGTHS.join(', ')}`)
  }
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
    ...(f.length < 16 ? {} : { baseFeePerGas: integerOf(f[15], 'baseFeePerGas') }),
    ...(f.length < 17 ? {} : { withdrawalsRoot: hexOf(f[16], 'withdrawalsRoot', 32) }),
    ...(f.length < 20
      ? {}
      : {
          blobGasUsed: integerOf(f[17], 'blobGasUsed', 8),
          excessBlobGas: integerOf(f[18], 'excessBlobGas', 8),
          parentBeaconBlockRoot: hexOf(f[19], 'parentBeaconBlockRoot', 32),
        }),
    ...(f.length < 21 ? {} : { requestsHash: hexOf(f[20], 'requestsHash', 32) }),
  }
}

function pragueHeader(header: EthereumHeader): Header {
  if (header.requestsHash === undefined)
    throw new RlpError('header has no Prague fields (21 items)')
  return header as Header
}

function withdrawalItem({ index, validatorIndex, address, amount }: Withdrawal): RlpItem {
  return [integer(index), integer(validatorIndex), fromHex(address), integer(amount)]
}

function withdrawalOf(item: RlpItem): Withdrawal {
  const f = listOf(item, 'withdrawal', 4)
  return {
    index: integerOf(f[0], 'withdrawal index', 8),
    validatorIndex: integerOf(f[1], 'validator index', 8),
    address: hexOf(f[2], 'withdrawal address', 20),
    amount: integerOf(f[3], 'withdrawal amount', 8),
  }
}
