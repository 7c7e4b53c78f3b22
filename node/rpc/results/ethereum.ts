/**
 * Results of the Ethereum methods: the shapes of execution-apis, and what a rollup adds to them (deposits, the L1 fee of
 * a receipt). `format.ts` makes these objects.
 */
import type { JsonSchema } from '../method.ts'
import {
  address,
  bytesOf,
  data,
  flag,
  fraction,
  hash,
  integer,
  listOf,
  literal,
  mapOf,
  nullable,
  oneOf,
  quantity,
  shape,
  text,
  withMembers,
} from './shape.ts'

const bloom = bytesOf(256)

export const log: JsonSchema = shape(
  {
    address,
    topics: listOf(hash),
    data,
    blockHash: hash,
    blockNumber: quantity,
    blockTimestamp: quantity,
    transactionHash: hash,
    transactionIndex: quantity,
    logIndex: quantity,
    removed: flag,
  },
  'log',
)

export const receipt: JsonSchema = shape(
  {
    type: quantity,
    transactionHash: hash,
    transactionIndex: quantity,
    blockHash: hash,
    blockNumber: quantity,
    from: address,
    to: nullable(address),
    contractAddress: nullable(address),
    // Before Byzantium a state root, since then a status.
    'root?': hash,
    'status?': { enum: ['0x0', '0x1'] },
    gasUsed: quantity,
    cumulativeGasUsed: quantity,
    effectiveGasPrice: quantity,
    logs: listOf(log),
    logsBloom: bloom,
    'blobGasUsed?': quantity,
    'blobGasPrice?': quantity,
    'l1Fee?': quantity,
    'l1GasUsed?': quantity,
    'l1GasPrice?': quantity,
    'l1BaseFeeScalar?': quantity,
    'l1BlobBaseFee?': quantity,
    'l1BlobBaseFeeScalar?': quantity,
    'depositNonce?': quantity,
    'depositReceiptVersion?': literal('0x1'),
  },
  'receipt',
)

export const accessList: JsonSchema = listOf(shape({ address, storageKeys: listOf(hash) }))

const authorizations = listOf(
  shape({
    chainId: quantity,
    address,
    nonce: quantity,
    yParity: quantity,
    r: quantity,
    s: quantity,
  }),
)

/** All null while it waits in the pool. */
const place = {
  blockHash: nullable(hash),
  blockNumber: nullable(quantity),
  blockTimestamp: nullable(quantity),
  transactionIndex: nullable(quantity),
}

/** What a transaction asks for, signed or not. */
const asked = {
  from: address,
  to: nullable(address),
  nonce: quantity,
  gas: quantity,
  value: quantity,
  input: data,
}

const signature = { v: quantity, r: quantity, s: quantity }
const typed = { ...signature, chainId: quantity, accessList, yParity: quantity }
const caps = { maxFeePerGas: quantity, maxPriorityFeePerGas: quantity }
const signed = { ...place, hash, ...asked, gasPrice: quantity }

const deposit = {
  ...signed,
  ...signature,
  sourceHash: hash,
  'mint?': quantity,
  isSystemTx: flag,
  depositReceiptVersion: literal('0x1'),
  yParity: literal('0x0'),
}

const blobs = { maxFeePerBlobGas: quantity, blobVersionedHashes: listOf(hash) }

/** Types 0 to 4 and the deposit, 0x7e. */
export const transaction: JsonSchema = {
  title: 'transaction',
  ...oneOf(
    shape({ ...signed, ...signature, type: literal('0x0'), 'chainId?': quantity }),
    shape({ ...signed, ...typed, type: literal('0x1') }),
    shape({ ...signed, ...typed, ...caps, type: literal('0x2') }),
    shape({ ...signed, ...typed, ...caps, ...blobs, type: literal('0x3') }),
    shape({
      ...signed,
      ...typed,
      ...caps,
      type: literal('0x4'),
      authorizationList: authorizations,
    }),
    shape({ ...deposit, type: literal('0x7e') }),
  ),
}

/** A header's members after London, Shanghai, Cancun and Prague are absent before. */
const headerMembers = {
  number: quantity,
  hash,
  parentHash: hash,
  nonce: bytesOf(8),
  sha3Uncles: hash,
  logsBloom: bloom,
  transactionsRoot: hash,
  stateRoot: hash,
  receiptsRoot: hash,
  miner: address,
  difficulty: quantity,
  extraData: data,
  gasLimit: quantity,
  gasUsed: quantity,
  timestamp: quantity,
  mixHash: hash,
  'baseFeePerGas?': quantity,
  'withdrawalsRoot?': hash,
  'blobGasUsed?': quantity,
  'excessBlobGas?': quantity,
  'parentBeaconBlockRoot?': hash,
  'requestsHash?': hash,
}

const withdrawal = shape({ index: quantity, validatorIndex: quantity, address, amount: quantity })

const sized = {
  ...headerMembers,
  size: quantity,
  uncles: listOf(hash),
  'withdrawals?': listOf(withdrawal),
}

export const uncle: JsonSchema = shape(sized, 'uncle')

export const block: JsonSchema = shape(
  { ...sized, transactions: oneOf(listOf(hash), listOf(transaction)) },
  'block',
)

const simulatedCall = shape({
  returnData: data,
  logs: listOf(log),
  gasUsed: quantity,
  maxUsedGas: quantity,
  status: { enum: ['0x0', '0x1'] },
  'error?': shape({ code: { type: 'integer' }, message: text, 'data?': data }),
})

export const simulatedBlock: JsonSchema = withMembers(
  block,
  { calls: listOf(simulatedCall) },
  'simulated block',
)

/** What `eth_fillTransaction` gives to be signed. */
export const filled: JsonSchema = shape({
  raw: data,
  tx: oneOf(
    shape({ ...asked, type: literal('0x0'), gasPrice: quantity, chainId: quantity }),
    shape({ ...asked, ...caps, type: literal('0x2'), chainId: quantity, accessList }),
  ),
})

export const filterChanges: JsonSchema = oneOf(listOf(hash), listOf(log))

export const createdAccessList: JsonSchema = shape({
  accessList,
  gasUsed: quantity,
  'error?': text,
})

export const accountProof: JsonSchema = shape({
  address,
  accountProof: listOf(data),
  balance: quantity,
  codeHash: hash,
  nonce: quantity,
  storageHash: hash,
  storageProof: listOf(
    shape({
      key: { type: 'string', pattern: '^0x[0-9a-f]{1,64}$' },
      value: quantity,
      proof: listOf(data),
    }),
  ),
})

export const storageValues: JsonSchema = mapOf(listOf(hash))

export const feeHistory: JsonSchema = shape({
  oldestBlock: quantity,
  baseFeePerGas: listOf(quantity),
  'baseFeePerBlobGas?': listOf(quantity),
  gasUsedRatio: listOf(fraction),
  'blobGasUsedRatio?': listOf(fraction),
  'reward?': listOf(listOf(quantity)),
})

export const syncing: JsonSchema = oneOf(
  literal(false),
  shape({ startingBlock: quantity, currentBlock: quantity, highestBlock: quantity }),
)

const resource = shape({ disabled: flag, oldestBlock: quantity })

export const capabilities: JsonSchema = shape({
  head: shape({ number: quantity, hash }),
  state: resource,
  tx: resource,
  logs: resource,
  receipts: resource,
  blocks: resource,
  stateproofs: resource,
})

const fork = shape({
  activationTime: integer,
  // Null on the rollup: its blocks carry no blobs.
  blobSchedule: nullable(shape({ baseFeeUpdateFraction: integer, max: integer, target: integer })),
  chainId: quantity,
  forkId: bytesOf(4),
  precompiles: mapOf(address),
  systemContracts: mapOf(address),
})

/** EIP-7910. */
export const forks: JsonSchema = shape({
  current: fork,
  next: nullable(fork),
  last: nullable(fork),
})

/** As `engine_getPayload` shows a block; `testing_buildBlockV1`. */
export const builtPayload: JsonSchema = shape({
  executionPayload: shape({
    parentHash: hash,
    feeRecipient: address,
    stateRoot: hash,
    receiptsRoot: hash,
    logsBloom: bloom,
    prevRandao: hash,
    blockNumber: quantity,
    gasLimit: quantity,
    gasUsed: quantity,
    timestamp: quantity,
    extraData: data,
    baseFeePerGas: quantity,
    blockHash: hash,
    transactions: listOf(data),
    withdrawals: listOf(withdrawal),
    blobGasUsed: quantity,
    excessBlobGas: quantity,
  }),
  blockValue: quantity,
  blobsBundle: shape({ commitments: listOf(data), proofs: listOf(data), blobs: listOf(data) }),
  executionRequests: listOf(data),
  shouldOverrideBuilder: flag,
})

const byNonce = mapOf(transaction)
const poolHalves = (half: JsonSchema): JsonSchema => shape({ pending: half, queued: half })

export const poolStatus: JsonSchema = poolHalves(quantity)
export const poolContent: JsonSchema = poolHalves(mapOf(byNonce))
export const poolContentFrom: JsonSchema = poolHalves(byNonce)
export const poolLines: JsonSchema = poolHalves(mapOf(mapOf(text)))
