/**
 * Receipts: the consensus encoding that `receiptsRoot` commits to, and our own storage encoding that
 * keeps everything a receipt says without running the block again. A deposit's consensus receipt ends
 * with its nonce and version 1 (Canyon), any other has the four Ethereum fields behind its type byte;
 * before Byzantium the first of them is a state root.
 */
import { concatBytes, fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'
import { bloomOf } from './bloom.ts'
import { DEPOSIT_TYPE } from './deposit.ts'
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
import type { EthereumBlock, L1Fee, Log, Receipt } from './types.ts'

const DEPOSIT_RECEIPT_VERSION = 1
/** Where `to` stands in a typed transaction, when not sixth. */
const RECIPIENT_AT: Readonly<Record<number, number>> = { 1: 4, [DEPOSIT_TYPE]: 2 }

export function encodeReceipt(receipt: Receipt): Uint8Array {
  const fields: RlpItem[] = [
    receipt.root ? fromHex(receipt.root) : integer(receipt.status),
    integer(receipt.cumulativeGasUsed),
    receipt.logsBloom,
    receipt.logs.map(logItem),
  ]
  if (receipt.type === DEPOSIT_TYPE) {
    fields.push(integer(receipt.depositNonce ?? 0n), integer(DEPOSIT_RECEIPT_VERSION))
  }
  const body = encodeRlp(fields)
  return receipt.type === 0 ? body : concatBytes(Uint8Array.of(receipt.type), body)
}

export function receiptsRoot(receipts: readonly Receipt[]): Hex {
  return toHex(orderedRoot(receipts.map(encodeReceipt)))
}

/** All receipts of one block, for the store. What the block says or can be computed again (hashes, recipients,
 * blooms, cumulative gas) is not kept; who sent a transaction is, since finding it out is dear. */
export function encodeStoredReceipts(receipts: readonly Receipt[]): Uint8Array {
  return encodeRlp(
    receipts.map((receipt) => [
      integer(receipt.type),
      fromHex(receipt.from),
      integer(receipt.status),
      integer(receipt.gasUsed),
      receipt.logs.map(logItem),
      optionalHex(receipt.contractAddress),
      integer(receipt.effectiveGasPrice),
      receipt.l1Fee ? l1FeeItem(receipt.l1Fee) : [],
      receipt.depositNonce === undefined ? [] : [integer(receipt.depositNonce)],
      ...plainItems(receipt),
    ]),
  )
}

/** @param block theirs. @throws RlpError */
export function decodeStoredReceipts(
  bytes: Uint8Array,
  block: Pick<EthereumBlock, 'transactions'>,
): Receipt[] {
  let cumulativeGasUsed = 0n
  const { transactions } = block
  return listOf(decodeRlp(bytes), 'receipts', transactions.length).map((item, i) => {
    const raw = transactions[i] as Uint8Array
    const f = wholeItems(listOf(item, 'receipt'), raw)
    if (f.length !== 11 && f.length !== 12) throw new RlpError(`receipt has ${f.length} items`)
    const logs = listOf(f[6], 'logs').map(logOf)
    const gasUsed = integerOf(f[5], 'gas used', 8)
    cumulativeGasUsed += gasUsed
    const l1Fee = listOf(f[9], 'l1 fee')
    const nonce = listOf(f[10], 'deposit nonce')
    return {
      type: Number(integerOf(f[0], 'type', 1)),
      transactionHash: hexOf(f[1], 'transaction hash', 32),
      from: hexOf(f[2], 'from', 20),
      to: optionalAddress(f[3], 'to'),
      status: integerOf(f[4], 'status', 1) === 1n ? 1 : 0,
      gasUsed,
      cumulativeGasUsed,
      logs,
      logsBloom: bloomOf(logs),
      contractAddress: optionalAddress(f[7], 'contract address'),
      effectiveGasPrice: integerOf(f[8], 'effective gas price'),
      ...(l1Fee.length ? { l1Fee: l1FeeOfItem(l1Fee) } : {}),
      ...(nonce.length ? { depositNonce: integerOf(nonce[0], 'deposit nonce', 8) } : {}),
      ...plainFieldsOf(f[11]),
    }
  })
}

/** With what the transaction says itself. Rows of schema 1 have it already. */
function wholeItems(items: RlpItem[], raw: Uint8Array): RlpItem[] {
  if (items.length > 10) return items
  const [type = [], from = [], ...rest] = items
  return [type, keccak(raw), from, recipientItem(raw), ...rest]
}

/** Of a transaction that has run: its shape is known. */
function recipientItem(raw: Uint8Array): RlpItem {
  const isLegacy = (raw[0] as number) >= 0xc0
  const fields = listOf(decodeRlp(isLegacy ? raw : raw.subarray(1)), 'transaction')
  const at = isLegacy ? 3 : (RECIPIENT_AT[raw[0] as number] ?? 5)
  return bytesOf(fields[at], 'to')
}

/** What only a plain Ethereum chain has, as one more item: `[root]` or `[blob gas, its price]`. */
function plainItems({ root, blobGas }: Receipt): RlpItem[] {
  if (root) return [[fromHex(root)]]
  return blobGas ? [[integer(blobGas.used), integer(blobGas.price)]] : []
}

function plainFieldsOf(item: RlpItem | undefined): Pick<Receipt, 'root' | 'blobGas'> {
  if (item === undefined) return {}
  const f = listOf(item, 'plain receipt fields')
  if (f.length === 1) return { root: hexOf(f[0], 'state root', 32) }
  return {
    blobGas: { used: integerOf(f[0], 'blob gas', 8), price: integerOf(f[1], 'blob gas price') },
  }
}

export function logItem(log: Log): RlpItem {
  return [fromHex(log.address), log.topics.map(fromHex), log.data]
}

function logOf(item: RlpItem): Log {
  const fields = listOf(item, 'log', 3)
  return {
    address: hexOf(fields[0], 'log address', 20),
    topics: listOf(fields[1], 'topics').map((topic) => hexOf(topic, 'topic', 32)),
    data: bytesOf(fields[2], 'log data'),
  }
}

function l1FeeItem(l1: L1Fee): RlpItem {
  const { fee, gasUsed, gasPrice, baseFeeScalar, blobBaseFee, blobBaseFeeScalar } = l1
  return [fee, gasUsed, gasPrice, baseFeeScalar, blobBaseFee, blobBaseFeeScalar].map(integer)
}

function l1FeeOfItem(item: RlpItem[]): L1Fee {
  const at = (i: number) => integerOf(item[i], 'l1 fee field')
  return {
    fee: at(0),
    gasUsed: at(1),
    gasPrice: at(2),
    baseFeeScalar: Number(at(3)),
    blobBaseFee: at(4),
    blobBaseFeeScalar: Number(at(5)),
  }
}

function optionalHex(hex: Hex | null): Uint8Array {
  return hex === null ? new Uint8Array(0) : fromHex(hex)
}

function optionalAddress(item: RlpItem | undefined, name: string): Hex | null {
  return bytesOf(item, name).length ? hexOf(item, name, 20) : null
}
