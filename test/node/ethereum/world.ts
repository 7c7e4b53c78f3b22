/** A plain Ethereum chain for tests: proof of work, the merge at block 3, one fork every 100 s after it. */
import { createBlob4844Tx, createFeeMarket1559Tx, createLegacyTx } from '@ethereumjs/tx'
import { type Hex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { EthereumChain } from '../../../node/ethereum/chain.ts'
import type { EthereumExecuted, Proposal } from '../../../node/ethereum/execute.ts'
import { readGenesis } from '../../../node/ethereum/genesis.ts'
import { Store } from '../../../node/store/store.ts'
import { alice, bob } from '../../support/chain.ts'

const MINER: Hex = `0x${'cc'.repeat(20)}`
export const OMMER_MINER: Hex = `0x${'dd'.repeat(20)}`
/** STOP: a system contract that asks for nothing. */
const QUIET = { balance: '0x0', code: '0x00' }

type GenesisJson = {
  readonly config: Readonly<Record<string, unknown>>
  readonly alloc: Readonly<Record<string, object>>
} & Readonly<Record<string, unknown>>

export const genesisJson: GenesisJson = {
  config: {
    chainId: 7,
    homesteadBlock: 0,
    eip150Block: 0,
    eip155Block: 0,
    eip158Block: 0,
    byzantiumBlock: 0,
    constantinopleBlock: 0,
    petersburgBlock: 0,
    istanbulBlock: 0,
    berlinBlock: 0,
    londonBlock: 2,
    mergeNetsplitBlock: 3,
    shanghaiTime: 40,
    cancunTime: 50,
    pragueTime: 60,
    osakaTime: 70,
    terminalTotalDifficulty: 393_216,
  },
  timestamp: '0x0',
  gasLimit: '0x1c9c380',
  difficulty: '0x20000',
  alloc: {
    [alice.address.slice(2)]: { balance: '0xde0b6b3a7640000' },
    '00000961ef480eb55e80d19ad83579a64c007002': QUIET,
    '0000bbddc7ce488642fb579f8b00f3a590007251': QUIET,
  },
}

export async function openWorld(
  path: string,
  json: object = genesisJson,
): Promise<{ chain: EthereumChain; store: Store }> {
  const store = await Store.open(path)
  const genesis = await readGenesis(JSON.stringify(json))
  return { store, chain: await EthereumChain.open({ genesis, store, log: silentLog }) }
}

/** The next block, 10 s after its parent, run but not kept. */
export async function build(
  chain: EthereumChain,
  transactions: readonly Uint8Array[] = [],
  change: Partial<Proposal> = {},
): Promise<EthereumExecuted> {
  const parent = chain.head('unsafe')
  const isLondon = parent.number + 1n === 2n
  const result = await chain.build({
    coinbase: MINER,
    timestamp: parent.timestamp + 10n,
    gasLimit: isLondon ? parent.gasLimit * 2n : parent.gasLimit,
    mixHash: ZERO_HASH,
    extraData: new Uint8Array(0),
    parentBeaconBlockRoot: `0x${'be'.repeat(32)}`,
    transactions,
    ...change,
  })
  if (result.kind === 'invalid') throw new Error(result.reason)
  return result
}

export async function extend(
  chain: EthereumChain,
  transactions: readonly Uint8Array[] = [],
  change: Partial<Proposal> = {},
): Promise<EthereumExecuted> {
  const executed = await build(chain, transactions, change)
  const result = await chain.importBlock(executed.block)
  if (result.kind !== 'imported') throw new Error(JSON.stringify(result))
  return executed
}

/** One block of each era, 1 to 7: proof of work, London with an ommer, the merge, Shanghai, Cancun, Prague, Osaka. */
export async function extendThroughForks(chain: EthereumChain): Promise<void> {
  const { block } = await extend(chain, [transfer(chain, 0n, 0)])
  const ommer = { ...block.header, coinbase: OMMER_MINER }
  await extend(chain, [transfer(chain, 1n, 2)], { ommers: [ommer] })
  await extend(chain)
  const withdrawal = { index: 0n, validatorIndex: 1n, address: bob.address, amount: 5n }
  await extend(chain, [transfer(chain, 2n, 2)], { withdrawals: [withdrawal] })
  await extend(chain, [transfer(chain, 3n, 3)])
  await extend(chain)
  await extend(chain, [transfer(chain, 4n, 2)])
}

/** 1 wei to bob, signed by alice under the rules of the next block, or of a later one. */
export function transfer(
  chain: EthereumChain,
  nonce: bigint,
  type: 0 | 2 | 3,
  ahead = 1n,
): Uint8Array {
  const { number, timestamp } = chain.head('unsafe')
  const { common } = chain.rules.at({
    number: number + ahead,
    timestamp: timestamp + 10n * ahead,
  })
  const base = { nonce, gasLimit: 21_000n, to: bob.address, value: 1n }
  const fees = { maxFeePerGas: 5_000_000_000n, maxPriorityFeePerGas: 1_000n, chainId: 7n }
  if (type === 0) {
    return createLegacyTx({ ...base, gasPrice: 5_000_000_000n }, { common })
      .sign(alice.key)
      .serialize()
  }
  if (type === 2) {
    return createFeeMarket1559Tx({ ...base, ...fees }, { common })
      .sign(alice.key)
      .serialize()
  }
  const blobs = { maxFeePerBlobGas: 10n, blobVersionedHashes: [BLOB_HASH] }
  return createBlob4844Tx({ ...base, ...fees, ...blobs }, { common })
    .sign(alice.key)
    .serialize()
}

const BLOB_HASH: Hex = `0x01${'ab'.repeat(31)}`
