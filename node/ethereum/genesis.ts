/**
 * A geth `genesis.json`: the chain's configuration, and block 0 made of its header fields and alloc. Numbers
 * may be JSON numbers, `0x` hex or decimal text, addresses with or without `0x`, as geth reads them.
 */
import { fromHex, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../base/bytes.ts'
import {
  EMPTY_BLOOM,
  EMPTY_OMMERS_HASH,
  EMPTY_REQUESTS_HASH,
  headerHash,
  transactionsRoot,
  withdrawalsRoot,
} from '../chain/block.ts'
import { type GenesisAlloc, genesisState } from '../chain/genesis.ts'
import { receiptsRoot } from '../chain/receipt.ts'
import type { StateWrites } from '../chain/state.ts'
import type { EthereumBlock, EthereumHeader } from '../chain/types.ts'
import { genesisError } from './errors.ts'
import { type ForkName, forksOf } from './forks.ts'
import {
  type BlobSchedule,
  createEthereumRules,
  type EthereumChainConfig,
  type EthereumRules,
} from './rules.ts'

/** Of mainnet; a genesis names its own. */
const DEPOSIT_CONTRACT: Hex = '0x00000000219ab540356cbb839cbe05303d7705fa'
const GAS_LIMIT = 4_712_388n
const BASE_FEE = 1_000_000_000n

/** EIP-7840: what mainnet has, for a genesis without `blobSchedule`. */
const BLOB_SCHEDULE: EthereumChainConfig['blobSchedule'] = {
  cancun: { target: 3, max: 6, baseFeeUpdateFraction: 3_338_477 },
  prague: { target: 6, max: 9, baseFeeUpdateFraction: 5_007_716 },
  bpo1: { target: 10, max: 15, baseFeeUpdateFraction: 8_346_193 },
  bpo2: { target: 14, max: 21, baseFeeUpdateFraction: 11_684_671 },
}

export type EthereumGenesis = {
  readonly rules: EthereumRules
  readonly block: EthereumBlock
  readonly writes: StateWrites
}

type Json = Readonly<Record<string, unknown>>

/** @throws NodeError genesis, naming the field. */
export async function readGenesis(text: string): Promise<EthereumGenesis> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw genesisError('it is not JSON')
  }
  const root = objectOf(json, 'it')
  const rules = createEthereumRules(configOf(objectOf(root.config, 'config')))
  const writes = await genesisState(allocOf(objectOf(root.alloc, 'alloc')))
  const header = headerOf(root, rules, toHex(writes.stateRoot))
  return { rules, block: { hash: headerHash(header), header, transactions: [] }, writes }
}

function configOf(config: Json): EthereumChainConfig {
  const schedule = config.blobSchedule
  return {
    chainId: safeInteger(config.chainId, 'config.chainId'),
    forks: forksOf(config),
    blobSchedule: schedule ? scheduleOf(objectOf(schedule, 'config.blobSchedule')) : BLOB_SCHEDULE,
    depositContract: config.depositContractAddress
      ? hex(config.depositContractAddress, 20, 'config.depositContractAddress')
      : DEPOSIT_CONTRACT,
  }
}

function scheduleOf(schedule: Json): EthereumChainConfig['blobSchedule'] {
  const entries = Object.entries(schedule).map(([fork, value]): [ForkName, BlobSchedule] => {
    const entry = objectOf(value, `config.blobSchedule.${fork}`)
    const at = (name: keyof BlobSchedule): number =>
      safeInteger(entry[name], `config.blobSchedule.${fork}.${name}`)
    const baseFeeUpdateFraction = at('baseFeeUpdateFraction')
    return [fork as ForkName, { target: at('target'), max: at('max'), baseFeeUpdateFraction }]
  })
  return Object.fromEntries(entries)
}

function allocOf(alloc: Json): GenesisAlloc {
  const entries = Object.entries(alloc).map(([key, value]) => {
    const account = objectOf(value, `alloc.${key}`)
    const at = (name: string): string => `alloc.${key}.${name}`
    const storage = Object.entries(objectOf(account.storage ?? {}, at('storage')))
    return [
      hex(key, 20, `alloc key ${key}`),
      {
        balance: integer(account.balance ?? 0, at('balance')),
        nonce: integer(account.nonce ?? 0, at('nonce')),
        ...(account.code && account.code !== '0x' ? { code: bytes(account.code, at('code')) } : {}),
        storage: Object.fromEntries(
          storage.map(([slot, word]) => [
            hex(slot, 32, at(`storage key ${slot}`)),
            hex(word, 32, at(`storage.${slot}`)),
          ]),
        ),
      },
    ]
  })
  return Object.fromEntries(entries) as GenesisAlloc
}

function headerOf(root: Json, rules: EthereumRules, stateRoot: Hex): EthereumHeader {
  const at = (name: string, fallback: bigint): bigint =>
    root[name] === undefined || root[name] === null ? fallback : integer(root[name], name)
  const number = at('number', 0n)
  const timestamp = at('timestamp', 0n)
  const { has, isProofOfStake } = rules.at({ number, timestamp })
  return {
    parentHash: root.parentHash ? hex(root.parentHash, 32, 'parentHash') : ZERO_HASH,
    ommersHash: EMPTY_OMMERS_HASH,
    coinbase: root.coinbase ? hex(root.coinbase, 20, 'coinbase') : ZERO_ADDRESS,
    stateRoot,
    transactionsRoot: transactionsRoot([]),
    receiptsRoot: receiptsRoot([]),
    logsBloom: EMPTY_BLOOM,
    difficulty: at('difficulty', isProofOfStake ? 0n : 131_072n),
    number,
    gasLimit: at('gasLimit', GAS_LIMIT),
    gasUsed: at('gasUsed', 0n),
    timestamp,
    extraData: root.extraData ? fromHex(bytes(root.extraData, 'extraData')) : new Uint8Array(0),
    mixHash: root.mixHash ? hex(root.mixHash, 32, 'mixHash') : ZERO_HASH,
    nonce: fromHex(`0x${at('nonce', 0n).toString(16).padStart(16, '0')}`),
    ...(has(1559) ? { baseFeePerGas: at('baseFeePerGas', BASE_FEE) } : {}),
    ...(has(4895) ? { withdrawalsRoot: withdrawalsRoot([]) } : {}),
    ...(has(4844)
      ? { blobGasUsed: at('blobGasUsed', 0n), excessBlobGas: at('excessBlobGas', 0n) }
      : {}),
    ...(has(4788) ? { parentBeaconBlockRoot: ZERO_HASH } : {}),
    ...(has(7685) ? { requestsHash: EMPTY_REQUESTS_HASH } : {}),
  }
}

function objectOf(value: unknown, name: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw genesisError(`${name} must be an object`)
}

function integer(value: unknown, name: string): bigint {
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  const isText = typeof value === 'string' && /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(value)
  if (isNumber || isText) return BigInt(value)
  throw genesisError(`${name} is ${JSON.stringify(value)}; it must be a whole number`)
}

function safeInteger(value: unknown, name: string): number {
  const number = Number(integer(value, name))
  if (Number.isSafeInteger(number)) return number
  throw genesisError(`${name} is ${number}; at most ${Number.MAX_SAFE_INTEGER}`)
}

/** Lower case, padded on the left. */
function hex(value: unknown, length: number, name: string): Hex {
  const digits = typeof value === 'string' ? value.replace(/^0x/, '').toLowerCase() : 'no'
  if (!/^[0-9a-f]*$/.test(digits) || digits.length > length * 2) {
    throw genesisError(`${name} is ${JSON.stringify(value)}; it must be ${length} bytes of hex`)
  }
  return `0x${digits.padStart(length * 2, '0')}`
}

function bytes(value: unknown, name: string): Hex {
  if (typeof value === 'string' && /^0x([0-9a-fA-F]{2})*$/.test(value)) return value as Hex
  throw genesisError(`${name} must be bytes of hex that begin with 0x`)
}
