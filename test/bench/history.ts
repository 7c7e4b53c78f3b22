/**
 * A chain with a past, made in a hurry: the real executor and the real store, but no L1 data, no second run and no
 * network. A node started on the folder, with the L1 whose genesis block every block of ours names as its
 * origin, cannot tell that it did not make these blocks itself.
 *
 *   L1 (anvil, our contracts) -> rollup.json -> [ attributes, transfers -> execute -> commit ] x blocks
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { genesisAlloc } from '../../genesis/alloc.ts'
import { type ChainConfig, encodeChainConfig } from '../../genesis/chain.ts'
import { ReceiptLedger } from '../../node/attribution/ledger.ts'
import { fromHex, type Hex, keccak, keccakHex, toHex, utf8 } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { encodeBlock } from '../../node/chain/block.ts'
import { Chain } from '../../node/chain/chain.ts'
import { encodeDepositTx } from '../../node/chain/deposit.ts'
import { createGenesis } from '../../node/chain/genesis.ts'
import { l1AttributesDeposit } from '../../node/chain/l1-attributes.ts'
import type { Block, PayloadAttributes } from '../../node/chain/types.ts'
import { Checkpoints } from '../../node/derive/checkpoints.ts'
import { genesisCheckpoint } from '../../node/derive/derive.ts'
import { l2RefOf } from '../../node/derive/l2-ref.ts'
import { localSigner } from '../../node/keys/signer.ts'
import { blockPreimage } from '../../node/p2p/signature.ts'
import { creationCodeOf } from '../../node/preinstalls.ts'
import { Store } from '../../node/store/store.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { started } from '../support/started.ts'
import { benchAccount, type Sender, signAll } from './load.ts'

export type HistoryOptions = {
  readonly blocks: number
  readonly transfersPerBlock: number
  /** Accounts the transfers go to, over and over; 0: each to a new one. */
  readonly recipients: number
  /** Blocks at the end that are not derived from L1 yet. */
  readonly unsafe: number
  readonly isSigned: boolean
}

const SENDERS = 100
const MINT = 10n ** 27n
/** Room for every transfer of a block. */
const GAS_LIMIT = 200_000_000n
/** The newest block is dated so far ahead that the chain is still young when the node starts. */
const AHEAD_SECONDS = 7_200

/** The configuration of a chain whose block `blocks` is due two hours from now; written to `rollup.json`. */
export async function datedConfig(
  dir: string,
  config: ChainConfig,
  blocks: number,
): Promise<ChainConfig> {
  const l2Time = BigInt(Math.floor(Date.now() / 1000) + AHEAD_SECONDS - blocks)
  const dated = { ...config, genesis: { ...config.genesis, l2Time } }
  const { block } = await createGenesis(dated, genesisAlloc(dated, creationCodeOf))
  const whole = { ...dated, genesis: { ...dated.genesis, l2: { hash: block.hash, number: 0n } } }
  writeFileSync(join(dir, 'rollup.json'), encodeChainConfig(whole))
  return whole
}

/** Fills the database at `path`. `onBlock` hears of every hundredth block. */
export async function makeHistory(
  path: string,
  config: ChainConfig,
  options: HistoryOptions,
  onBlock: (number: number) => void = () => {},
): Promise<void> {
  const store = await Store.open(path)
  const alloc = genesisAlloc(config, creationCodeOf)
  const chain = await Chain.open({ config, alloc: () => alloc, store, log: silentLog })
  const ledger = await started(chain, new ReceiptLedger(chain, store, silentLog))
  const senders = Array.from({ length: SENDERS }, (_, i): Sender => {
    // Its deposit is the first.
    return { account: benchAccount(i), nonce: 1n }
  })
  const signer = localSigner(fromHex(devnetAccount('sequencer').privateKey))
  let made = 0
  const recipient = (): Hex => {
    const at = options.recipients ? made % options.recipients : made
    made++
    return toHex(keccak(utf8(`history ${at}`)).subarray(12))
  }
  try {
    for (let number = 1; number <= options.blocks; number++) {
      const deposits = number === 1 ? senders.map(({ account }, i) => mint(account.address, i)) : []
      const count = number === 1 ? 0 : options.transfersPerBlock
      const plans = Array.from({ length: count }, (_, i) => ({
        sender: senders[i % SENDERS] as Sender,
        plan: { to: recipient(), value: 1n, data: new Uint8Array(0), gas: 21_000n },
      }))
      const raws = signAll(config.l2ChainId, plans).map(({ raw }) => fromHex(raw))
      const built = await chain.build(attributesOn(chain, deposits), raws)
      if (built.kind === 'invalid') throw new Error(built.reason)
      if (built.receipts.length !== 1 + deposits.length + count) {
        throw new Error(`block ${number}: ${built.skipped[0]?.reason.message}`)
      }
      await chain.commit(built, options.isSigned ? { signature: await sign(built.block) } : {})
      if (number % 100 === 0) onBlock(number)
    }
    await ledger.settled()
    await markSafe(store, chain, options)
  } finally {
    await store.close()
  }

  async function sign(block: Block): Promise<Uint8Array> {
    return signer.sign('block', blockPreimage(BigInt(config.l2ChainId), encodeBlock(block)))
  }
}

/** As if all but the last few had come from L1. */
async function markSafe(
  store: Store,
  chain: Chain,
  { blocks, unsafe }: HistoryOptions,
): Promise<void> {
  const block = chain.blockByNumber(BigInt(Math.max(0, blocks - unsafe)))
  if (!block) throw new Error('a block is missing')
  const ref = { hash: block.hash, number: block.header.number }
  await chain.markSafe(ref, chain.config.genesis.l1)
  await chain.markFinalized(ref)
  const checkpoint = { ...genesisCheckpoint(chain.config), safe: l2RefOf(chain.config, block) }
  await new Checkpoints(store.table('checkpoints')).put(checkpoint)
}

function attributesOn(chain: Chain, deposits: readonly Uint8Array[]): PayloadAttributes {
  const { config } = chain
  const { l1, l2Time, systemConfig } = config.genesis
  const parent = chain.head('unsafe')
  const origin = {
    ...l1,
    timestamp: l2Time,
    baseFee: 1_000_000_000n,
    blobBaseFee: 1n,
    sequenceNumber: parent.number,
    batcher: systemConfig.batcher,
    baseFeeScalar: systemConfig.baseFeeScalar,
    blobBaseFeeScalar: systemConfig.blobBaseFeeScalar,
  }
  return {
    timestamp: parent.timestamp + config.blockTime,
    prevRandao: `0x${'22'.repeat(32)}`,
    parentBeaconBlockRoot: `0x${'33'.repeat(32)}`,
    gasLimit: GAS_LIMIT,
    eip1559Denominator: systemConfig.eip1559Denominator,
    eip1559Elasticity: systemConfig.eip1559Elasticity,
    transactions: [l1AttributesDeposit(origin), ...deposits],
  }
}

function mint(address: Hex, i: number): Uint8Array {
  return encodeDepositTx({
    sourceHash: keccakHex(utf8(`history mint ${i}`)),
    from: address,
    to: address,
    mint: MINT,
    value: 0n,
    gas: 100_000n,
    isSystemTx: false,
    data: new Uint8Array(0),
  })
}
