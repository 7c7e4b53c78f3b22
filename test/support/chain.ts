/**
 * A small chain for tests: a configuration, funded accounts with known keys, signed transactions and
 * payload attributes. Genesis balances stand in for the bridge; nothing else is special.
 */
import {
  createAccessList2930Tx,
  createEOACode7702Tx,
  createFeeMarket1559Tx,
  createLegacyTx,
} from '@ethereumjs/tx'
import { createAddressFromPrivateKey } from '@ethereumjs/util'
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { Chain } from '../../node/chain/chain.ts'
import { commonOf } from '../../node/chain/common.ts'
import type { Executed } from '../../node/chain/execute.ts'
import type { GenesisAlloc } from '../../node/chain/genesis.ts'
import { l1AttributesDeposit } from '../../node/chain/l1-attributes.ts'
import type { Header, L1Attributes, PayloadAttributes } from '../../node/chain/types.ts'
import { Store } from '../../node/store/store.ts'

export const CHAIN_ID: number = 90_210
export const ETHER: bigint = 10n ** 18n

export type Wallet = { readonly key: Uint8Array; readonly address: Hex }

export function walletOf(seed: number): Wallet {
  const key = new Uint8Array(32).fill(seed)
  return { key, address: createAddressFromPrivateKey(key).toString() }
}

export const alice: Wallet = walletOf(1)
export const bob: Wallet = walletOf(2)

export const testConfig: ChainConfig = {
  l1ChainId: 31_337,
  l2ChainId: CHAIN_ID,
  genesis: {
    l1: { hash: `0x${'11'.repeat(32)}`, number: 7n },
    l2: { hash: ZERO_HASH, number: 0n },
    l2Time: 1_700_000_000n,
    systemConfig: {
      batcher: `0x${'ba'.repeat(20)}`,
      gasLimit: 60_000_000n,
      baseFeeScalar: 1_368,
      blobBaseFeeScalar: 810_949,
      eip1559Denominator: 250,
      eip1559Elasticity: 6,
      unsafeBlockSigner: ZERO_ADDRESS,
    },
  },
  blockTime: 1n,
  maxSequencerDrift: 600n,
  seqWindowSize: 100n,
  channelTimeout: 50n,
  batchInbox: `0x${'ff'.repeat(20)}`,
  portal: `0x${'dd'.repeat(20)}`,
  l1Contracts: {},
}

export const testAlloc: GenesisAlloc = {
  [alice.address]: { balance: 1_000n * ETHER },
  [bob.address]: { balance: 1_000n * ETHER },
}

/** What the L1 origin says in tests; `sequenceNumber` tells blocks of one origin apart. */
export function l1AttributesAt(sequenceNumber: bigint): L1Attributes {
  return {
    number: 7n,
    timestamp: 1_700_000_000n,
    baseFee: 10_000_000_000n,
    blobBaseFee: 1n,
    hash: testConfig.genesis.l1.hash,
    sequenceNumber,
    batcher: testConfig.genesis.systemConfig.batcher,
    baseFeeScalar: testConfig.genesis.systemConfig.baseFeeScalar,
    blobBaseFeeScalar: testConfig.genesis.systemConfig.blobBaseFeeScalar,
  }
}

/** Attributes of the block after `parent`; the L1 attributes deposit comes first. */
export function attributesAfter(
  parent: Header,
  transactions: readonly Uint8Array[] = [],
  change: Partial<PayloadAttributes> = {},
): PayloadAttributes {
  return {
    timestamp: parent.timestamp + 1n,
    prevRandao: `0x${'22'.repeat(32)}`,
    parentBeaconBlockRoot: `0x${'33'.repeat(32)}`,
    gasLimit: 60_000_000n,
    eip1559Denominator: 250,
    eip1559Elasticity: 6,
    transactions: [l1AttributesDeposit(l1AttributesAt(parent.number)), ...transactions],
    ...change,
  }
}

export type TxFields = {
  nonce?: bigint
  to?: Hex | null
  value?: bigint
  data?: Uint8Array
  gasLimit?: bigint
  maxFeePerGas?: bigint
  maxPriorityFeePerGas?: bigint
  chainId?: number
  type?: 0 | 1 | 2 | 4
  authorizationList?: never[]
}

/** The raw signed transaction; a transfer of 1 wei to bob unless the fields say otherwise. */
export function signedTx(wallet: Wallet, fields: TxFields = {}): Uint8Array {
  const common = commonOf(fields.chainId ?? CHAIN_ID)
  const to = fields.to === null ? undefined : (fields.to ?? bob.address)
  const base = {
    nonce: fields.nonce ?? 0n,
    gasLimit: fields.gasLimit ?? 21_000n,
    value: fields.value ?? 1n,
    data: fields.data ?? new Uint8Array(0),
    ...(to === undefined ? {} : { to }),
  }
  const maxFeePerGas = fields.maxFeePerGas ?? 5_000_000_000n
  const dynamic = { maxFeePerGas, maxPriorityFeePerGas: fields.maxPriorityFeePerGas ?? 1_000n }
  const chainId = BigInt(fields.chainId ?? CHAIN_ID)
  switch (fields.type ?? 2) {
    case 0:
      return createLegacyTx({ ...base, gasPrice: maxFeePerGas }, { common })
        .sign(wallet.key)
        .serialize()
    case 1:
      return createAccessList2930Tx({ ...base, gasPrice: maxFeePerGas, chainId }, { common })
        .sign(wallet.key)
        .serialize()
    case 4:
      return createEOACode7702Tx(
        {
          ...base,
          ...dynamic,
          chainId,
          authorizationList: fields.authorizationList ?? [],
        } as never,
        { common },
      )
        .sign(wallet.key)
        .serialize()
    default:
      return createFeeMarket1559Tx({ ...base, ...dynamic, chainId }, { common })
        .sign(wallet.key)
        .serialize()
  }
}

export type TestChain = { chain: Chain; store: Store; close(): Promise<void> }

export async function openTestChain(
  path: string,
  alloc: GenesisAlloc = testAlloc,
  config: ChainConfig = testConfig,
): Promise<TestChain> {
  const store = await Store.open(path)
  try {
    const chain = await Chain.open({ config, alloc: () => alloc, store, log: silentLog })
    return { chain, store, close: () => store.close() }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Builds a block from candidates on the head and commits it. */
export async function extend(
  chain: Chain,
  transactions: readonly Uint8Array[] = [],
  change: Partial<PayloadAttributes> = {},
): Promise<Executed> {
  const attributes = attributesAfter(chain.head('unsafe'), [], change)
  const executed = await chain.build(attributes, transactions)
  if (executed.kind === 'invalid') throw new Error(executed.reason)
  await chain.commit(executed)
  return executed
}
