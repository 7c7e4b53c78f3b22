/** JSON-RPC methods only a plain Ethereum chain has: its fork schedule, and blocks built on request. */
import { toHex } from '../base/bytes.ts'
import type { Withdrawal } from '../chain/types.ts'
import type { Mempool } from '../mempool/pool.ts'
import { RPC, RpcError } from '../rpc/errors.ts'
import { quantity, withdrawalObject } from '../rpc/format.ts'
import { type JsonObject, method, type RpcMethods, type ValueType } from '../rpc/method.ts'
import {
  address,
  bytes,
  hash,
  index,
  inside,
  list,
  object,
  optional,
  required,
  schemas,
} from '../rpc/params.ts'
import { builtPayload, forks } from '../rpc/results/ethereum.ts'
import type { EthereumChain } from './chain.ts'
import { configObject } from './config.ts'
import type { EthereumExecuted, Proposal } from './execute.ts'

/** What builders aim at since 2025; a block moves its limit there by less than 1/1024. */
const GAS_LIMIT_TARGET = 60_000_000n
const GAS_LIMIT_PARTS = 1_024n
const TRANSACTIONS_MAX = 10_000
const WITHDRAWALS_MAX = 16
const BLOB_TYPE = 3

type Attributes = Pick<
  Proposal,
  'timestamp' | 'mixHash' | 'coinbase' | 'parentBeaconBlockRoot' | 'withdrawals'
>

export function ethereumMethods({
  chain,
  pool,
}: {
  chain: EthereumChain
  pool: Mempool
}): RpcMethods {
  return {
    eth_config: method({
      summary: 'The fork in force and those to come (EIP-7910)',
      params: [],
      result: forks,
      handler: () => configObject(chain.rules, chain.genesis, chain.head('unsafe')),
    }),
    testing_buildBlockV1: method({
      summary:
        'A block on the head, with these transactions, or with null those of the pool (blob transactions left out: their blobs are not kept)',
      params: [
        required('parentBlockHash', hash),
        required('payloadAttributes', attributes),
        optional('transactions', list(bytes, TRANSACTIONS_MAX), null),
        optional('extraData', bytes, null),
      ],
      result: builtPayload,
      handler: async (_context, [parentHash, chosen, transactions, extraData]) => {
        const parent = chain.head('unsafe')
        if (parent.hash !== parentHash) {
          throw new RpcError(RPC.server, `block ${parentHash} is not the head ${parent.hash}`)
        }
        const baseFee = chain.rules.nextBaseFee(parent) ?? 0n
        const result = await chain.build(
          {
            ...chosen,
            gasLimit: gasLimitAfter(parent.gasLimit),
            extraData: extraData ?? new Uint8Array(0),
            transactions: transactions ?? [],
          },
          transactions ? {} : { candidates: withoutBlobs(pool.candidates(baseFee)) },
        )
        if (result.kind === 'invalid') throw new RpcError(RPC.server, result.reason)
        return payloadObject(result)
      },
    }),
  }
}

const attributes: ValueType<Attributes> = {
  schema: schemas.object,
  parse: (value) => {
    const f = object.parse(value)
    const field = <T>(name: string, type: ValueType<T>): T =>
      inside(`.${name}`, () => type.parse(f[name]))
    return {
      timestamp: BigInt(field('timestamp', index)),
      mixHash: field('prevRandao', hash),
      coinbase: field('suggestedFeeRecipient', address),
      ...(f.parentBeaconBlockRoot
        ? { parentBeaconBlockRoot: field('parentBeaconBlockRoot', hash) }
        : {}),
      withdrawals: f.withdrawals ? field('withdrawals', list(withdrawal, WITHDRAWALS_MAX)) : [],
    }
  },
}

const withdrawal: ValueType<Withdrawal> = {
  schema: schemas.object,
  parse: (value) => {
    const f = object.parse(value)
    const integer = (name: string): bigint => BigInt(inside(`.${name}`, () => index.parse(f[name])))
    return {
      index: integer('index'),
      validatorIndex: integer('validatorIndex'),
      address: inside('.address', () => address.parse(f.address)),
      amount: integer('amount'),
    }
  },
}

function gasLimitAfter(parent: bigint): bigint {
  const step = parent / GAS_LIMIT_PARTS - 1n
  const gap = GAS_LIMIT_TARGET - parent
  if (gap > 0n) return parent + (gap < step ? gap : step)
  return parent - (-gap < step ? -gap : step)
}

function* withoutBlobs(raws: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const raw of raws) if (raw[0] !== BLOB_TYPE) yield raw
}

/** As `engine_getPayload` shows it. */
function payloadObject({ block, receipts, requests }: EthereumExecuted): JsonObject {
  const { header, transactions, withdrawals = [] } = block
  const baseFee = header.baseFeePerGas ?? 0n
  const tips = receipts.reduce(
    (sum, { effectiveGasPrice, gasUsed }) => sum + (effectiveGasPrice - baseFee) * gasUsed,
    0n,
  )
  return {
    executionPayload: {
      parentHash: header.parentHash,
      feeRecipient: header.coinbase,
      stateRoot: header.stateRoot,
      receiptsRoot: header.receiptsRoot,
      logsBloom: toHex(header.logsBloom),
      prevRandao: header.mixHash,
      blockNumber: quantity(header.number),
      gasLimit: quantity(header.gasLimit),
      gasUsed: quantity(header.gasUsed),
      timestamp: quantity(header.timestamp),
      extraData: toHex(header.extraData),
      baseFeePerGas: quantity(baseFee),
      blockHash: block.hash,
      transactions: transactions.map(toHex),
      withdrawals: withdrawals.map(withdrawalObject),
      blobGasUsed: quantity(header.blobGasUsed ?? 0n),
      excessBlobGas: quantity(header.excessBlobGas ?? 0n),
    },
    blockValue: quantity(tips),
    blobsBundle: { commitments: [], proofs: [], blobs: [] },
    executionRequests: requests.map(toHex),
    shouldOverrideBuilder: false,
  }
}
