/**
 * Chain objects as JSON-RPC shows them: blocks, transactions (deposits too), receipts, logs. Quantities
 * are 0x hex without leading zeros. The fields a rollup adds are those viem's op-stack formatters read.
 */
import { type Hex, keccak, toHex, utf8 } from '../base/bytes.ts'
import { encodeBlock, headerHash } from '../chain/block.ts'
import { DEPOSIT_TYPE, decodeDepositTx, isDeposit } from '../chain/deposit.ts'
import type { ChainRules } from '../chain/rules.ts'
import { decodeTxUnder, effectiveGasPrice, type SignedTx, txHash } from '../chain/tx.ts'
import type {
  EthereumBlock as Block,
  EthereumHeader as Header,
  Log,
  Receipt,
  Withdrawal,
} from '../chain/types.ts'
import type { Json, JsonObject } from './method.ts'

export function quantity(value: bigint | number): Hex {
  return `0x${value.toString(16)}`
}

/** EIP-55. */
export function checksumAddress(address: Hex): string {
  const digits = address.slice(2).toLowerCase()
  const hash = toHex(keccak(utf8(digits))).slice(2)
  return `0x${[...digits].map((digit, i) => (Number.parseInt(hash[i] as string, 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`
}

export function headerObject(header: Header, hash: Hex): JsonObject {
  return {
    number: quantity(header.number),
    hash,
    parentHash: header.parentHash,
    nonce: toHex(header.nonce),
    sha3Uncles: header.ommersHash,
    logsBloom: toHex(header.logsBloom),
    transactionsRoot: header.transactionsRoot,
    stateRoot: header.stateRoot,
    receiptsRoot: header.receiptsRoot,
    miner: header.coinbase,
    difficulty: quantity(header.difficulty),
    extraData: toHex(header.extraData),
    gasLimit: quantity(header.gasLimit),
    gasUsed: quantity(header.gasUsed),
    timestamp: quantity(header.timestamp),
    mixHash: header.mixHash,
    baseFeePerGas: optional(header.baseFeePerGas),
    withdrawalsRoot: header.withdrawalsRoot,
    blobGasUsed: optional(header.blobGasUsed),
    excessBlobGas: optional(header.excessBlobGas),
    parentBeaconBlockRoot: header.parentBeaconBlockRoot,
    requestsHash: header.requestsHash,
  }
}

/** JSON leaves out what is undefined: fields of forks to come. */
function optional(value: bigint | undefined): Hex | undefined {
  return value === undefined ? undefined : quantity(value)
}

/** `receipts` are needed for full transactions: a deposit's nonce stands there. */
export function blockObject(
  block: Block,
  args:
    | { rules: ChainRules; full: false }
    | { rules: ChainRules; full: true; receipts: readonly Receipt[] },
): JsonObject {
  return {
    ...headerObject(block.header, block.hash),
    size: quantity(encodeBlock(block).length),
    uncles: (block.ommers ?? []).map(headerHash),
    ...(block.header.withdrawalsRoot === undefined
      ? {}
      : { withdrawals: (block.withdrawals ?? []).map(withdrawalObject) }),
    transactions: args.full
      ? block.transactions.map((_, index) =>
          transactionObject({ block, index, rules: args.rules, receipt: args.receipts[index] }),
        )
      : block.transactions.map(txHash),
  }
}

export function withdrawalObject({
  index,
  validatorIndex,
  address,
  amount,
}: Withdrawal): JsonObject {
  return {
    index: quantity(index),
    validatorIndex: quantity(validatorIndex),
    address,
    amount: quantity(amount),
  }
}

export function transactionObject(args: {
  block: Block
  index: number
  rules: ChainRules
  receipt: Receipt | undefined
}): JsonObject {
  const { block, index, receipt } = args
  const raw = block.transactions[index] as Uint8Array
  const place = {
    blockHash: block.hash,
    blockNumber: quantity(block.header.number),
    blockTimestamp: quantity(block.header.timestamp),
    transactionIndex: quantity(index),
  }
  if (isDeposit(raw)) return { ...place, ...depositFields(raw, receipt?.depositNonce ?? 0n) }
  const tx = decodeTxUnder(args.rules.at(block.header), raw)
  return { ...place, ...signedFields(tx, effectiveGasPrice(tx, block.header.baseFeePerGas ?? 0n)) }
}

/** A transaction that waits in the pool; the gas price is its cap. */
export function pendingObject(tx: SignedTx): JsonObject {
  const nowhere = {
    blockHash: null,
    blockNumber: null,
    blockTimestamp: null,
    transactionIndex: null,
  }
  return { ...nowhere, ...signedFields(tx, tx.maxFeePerGas) }
}

function signedFields(tx: SignedTx, gasPrice: bigint): JsonObject {
  const { inner } = tx
  // EthereumJS writes list fields, signature and chain id as JSON-RPC wants them.
  const json = inner.toJSON() as Record<string, Json | undefined>
  const isDynamic = tx.type >= 2
  return {
    type: quantity(tx.type),
    hash: tx.hash,
    from: tx.sender,
    to: tx.to,
    nonce: quantity(tx.nonce),
    gas: quantity(tx.gasLimit),
    gasPrice: quantity(gasPrice),
    ...(isDynamic
      ? {
          maxFeePerGas: quantity(tx.maxFeePerGas),
          maxPriorityFeePerGas: quantity(tx.maxPriorityFeePerGas),
        }
      : {}),
    value: quantity(tx.value),
    input: toHex(tx.data),
    ...(tx.type === 0 ? {} : { accessList: json.accessList ?? [] }),
    ...(tx.type === 3
      ? { maxFeePerBlobGas: json.maxFeePerBlobGas, blobVersionedHashes: json.blobVersionedHashes }
      : {}),
    ...(tx.type === 4 ? { authorizationList: authorizations(json.authorizationList) } : {}),
    ...(isProtected(tx) ? { chainId: json.chainId } : {}),
    v: json.v,
    r: json.r,
    s: json.s,
    ...(tx.type === 0 ? {} : { yParity: json.yParity ?? json.v }),
  }
}

/** EIP-155: v of an unprotected legacy transaction is 27 or 28. */
function isProtected(tx: SignedTx): boolean {
  return tx.type !== 0 || (tx.inner.v ?? 0n) >= 35n
}

function authorizations(list: Json | undefined): Json {
  if (!Array.isArray(list)) return []
  return list.map((entry: Record<string, Json>) => {
    // EthereumJS gives the bytes as they stand in RLP: zero is '0x'.
    const number = (name: string): Hex => quantity(BigInt(`${entry[name]}`.replace(/^0x$/, '0')))
    return {
      chainId: number('chainId'),
      address: entry.address ?? null,
      nonce: number('nonce'),
      yParity: number('yParity'),
      r: number('r'),
      s: number('s'),
    }
  })
}

function depositFields(raw: Uint8Array, nonce: bigint): JsonObject {
  const tx = decodeDepositTx(raw)
  return {
    type: quantity(DEPOSIT_TYPE),
    hash: txHash(raw),
    sourceHash: tx.sourceHash,
    from: tx.from,
    to: tx.to,
    ...(tx.mint ? { mint: quantity(tx.mint) } : {}),
    value: quantity(tx.value),
    gas: quantity(tx.gas),
    gasPrice: '0x0',
    isSystemTx: tx.isSystemTx,
    input: toHex(tx.data),
    nonce: quantity(nonce),
    depositReceiptVersion: '0x1',
    v: '0x0',
    r: '0x0',
    s: '0x0',
    yParity: '0x0',
  }
}

/** Where a log stands; `firstLog` is the number of logs before it in the block. */
export function logObject(args: {
  log: Log
  block: Block
  txIndex: number
  transactionHash: Hex
  logIndex: number
  removed?: boolean
}): JsonObject {
  const { log, block } = args
  return {
    address: log.address,
    topics: log.topics,
    data: toHex(log.data),
    blockHash: block.hash,
    blockNumber: quantity(block.header.number),
    blockTimestamp: quantity(block.header.timestamp),
    transactionHash: args.transactionHash,
    transactionIndex: quantity(args.txIndex),
    logIndex: quantity(args.logIndex),
    removed: args.removed ?? false,
  }
}

export function receiptObjects(block: Block, receipts: readonly Receipt[]): JsonObject[] {
  let firstLog = 0
  return receipts.map((receipt, txIndex) => {
    const object = receiptObject(block, receipt, txIndex, firstLog)
    firstLog += receipt.logs.length
    return object
  })
}

export function receiptObjectAt(
  block: Block,
  receipts: readonly Receipt[],
  at: number,
): JsonObject {
  return receiptObject(block, receipts[at] as Receipt, at, firstLogsOf(receipts)[at] as number)
}

/** Number of logs before each receipt, counted once for the receipts of a block. */
const firstLogs = new WeakMap<readonly Receipt[], Uint32Array>()

function firstLogsOf(receipts: readonly Receipt[]): Uint32Array {
  let counted = firstLogs.get(receipts)
  if (!counted) {
    counted = new Uint32Array(receipts.length)
    for (let i = 1; i < counted.length; i++) {
      counted[i] = (counted[i - 1] as number) + (receipts[i - 1] as Receipt).logs.length
    }
    firstLogs.set(receipts, counted)
  }
  return counted
}

function receiptObject(
  block: Block,
  receipt: Receipt,
  txIndex: number,
  firstLog: number,
): JsonObject {
  const { transactionHash, l1Fee } = receipt
  return {
    type: quantity(receipt.type),
    transactionHash,
    transactionIndex: quantity(txIndex),
    blockHash: block.hash,
    blockNumber: quantity(block.header.number),
    from: receipt.from,
    to: receipt.to,
    contractAddress: receipt.contractAddress,
    ...(receipt.root ? { root: receipt.root } : { status: quantity(receipt.status) }),
    gasUsed: quantity(receipt.gasUsed),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    effectiveGasPrice: quantity(receipt.effectiveGasPrice),
    logs: receipt.logs.map((log, i) =>
      logObject({ log, block, txIndex, transactionHash, logIndex: firstLog + i }),
    ),
    logsBloom: toHex(receipt.logsBloom),
    ...(receipt.blobGas
      ? {
          blobGasUsed: quantity(receipt.blobGas.used),
          blobGasPrice: quantity(receipt.blobGas.price),
        }
      : {}),
    ...(l1Fee
      ? {
          l1Fee: quantity(l1Fee.fee),
          l1GasUsed: quantity(l1Fee.gasUsed),
          l1GasPrice: quantity(l1Fee.gasPrice),
          l1BaseFeeScalar: quantity(l1Fee.baseFeeScalar),
          l1BlobBaseFee: quantity(l1Fee.blobBaseFee),
          l1BlobBaseFeeScalar: quantity(l1Fee.blobBaseFeeScalar),
        }
      : {}),
    ...(receipt.depositNonce === undefined
      ? {}
      : { depositNonce: quantity(receipt.depositNonce), depositReceiptVersion: '0x1' }),
  }
}
