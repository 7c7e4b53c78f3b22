/**
 * A whole sequencer in one process, stepped by hand: producer, pool, derivation and batcher on one chain and
 * a real L1 whose blocks come every 12 seconds of a clock that the test moves.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { type NodeError as Failure, NodeError } from '../../node/base/errors.ts'
import { silentLog } from '../../node/base/log.ts'
import type { Chain } from '../../node/chain/chain.ts'
import { nextBaseFee } from '../../node/chain/fees.ts'
import type { Block } from '../../node/chain/types.ts'
import { l2RefOf } from '../../node/derive/l2-ref.ts'
import type { DerivationPipeline } from '../../node/derive/pipeline.ts'
import { systemConfigOf } from '../../node/derive/system-config.ts'
import { poolHeadOf } from '../../node/mempool/head.ts'
import { Mempool } from '../../node/mempool/pool.ts'
import { Backlog } from '../../sequencer/batcher/backlog.ts'
import type { BatcherOptions } from '../../sequencer/batcher/options.ts'
import { ORIGIN_DEFAULTS, OriginSelector } from '../../sequencer/origin.ts'
import { PRESSURE_DEFAULTS, type PressureOptions, pressureOf } from '../../sequencer/pressure.ts'
import { PRODUCER_DEFAULTS, Producer } from '../../sequencer/produce.ts'
import { replayDropped } from '../../sequencer/replay.ts'
import type { Anvil } from '../node/l1/anvil.ts'
import { Rollup, type TestBatcher } from './batcher/rollup.ts'

type Tap = Parameters<typeof Rollup.start>[0]

export const L1_BLOCK_SECONDS = 12

export type Live = {
  readonly rollup: Rollup
  readonly chain: Chain
  readonly pool: Mempool
  readonly pipeline: DerivationPipeline
  readonly batcher: TestBatcher
  /** Of each reorg of the unsafe chain: how many blocks left it. */
  readonly reorgs: number[]
  /** One L1 block, and all that the sequencer does in its time. `batcher`: it works. */
  step(parts?: { readonly batcher?: boolean }): Promise<void>
  /** Seconds go by without an L1 block and without an L1 to ask. Blocks made. */
  withoutL1(seconds: number): Promise<Block[]>
}

export async function startLive(
  t: Tap,
  anvil: Anvil,
  options: {
    readonly config?: Partial<ChainConfig>
    readonly batcher?: Partial<BatcherOptions>
    readonly pressure?: Partial<PressureOptions>
  } = {},
): Promise<Live> {
  await anvil.rpc('anvil_setBlockTimestampInterval', L1_BLOCK_SECONDS)
  const rollup = await Rollup.start(t, anvil, options.config)
  const { chain, config } = rollup
  const { pipeline, sync } = rollup.own()
  const pool = new Mempool({}, { chainId: config.l2ChainId, head: poolHeadOf(chain), now: () => 0 })
  const reorgs: number[] = []
  chain.on('block', ({ block }) => pool.onBlock(block))
  chain.on('reorg', ({ dropped }) => {
    reorgs.push(dropped.length)
    pool.onReorg(dropped)
  })
  replayDropped(chain, pool)

  let [nowMs, isL1Away] = [Number(config.genesis.l2Time) * 1000, false]
  const here = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (isL1Away) throw new NodeError('l1-unavailable', 'retry', 'L1 is away')
    return ask()
  }
  const reader = rollup.reader()
  const backlog = new Backlog({
    unsafe: () => chain.headRef('unsafe'),
    safe: () => chain.headRef('safe'),
    blockByNumber: (number) => chain.blockByNumber(number),
  })
  const producer = new Producer(PRODUCER_DEFAULTS, {
    config,
    chain,
    origins: new OriginSelector(
      { ...ORIGIN_DEFAULTS, lookupMsMax: 60_000 },
      {
        config,
        log: silentLog,
        reader: {
          head: (tag) => here(() => reader.head(tag)),
          originWithLogs: (number) => here(() => reader.originWithLogs(number)),
        },
      },
    ),
    log: silentLog,
    now: () => nowMs,
    head: () => l2RefOf(config, chain.blockByTag('unsafe') ?? chain.genesis),
    system: () => systemConfigOf(config, chain.blockByTag('unsafe') ?? chain.genesis),
    pressure: () =>
      pressureOf(
        {
          backlogBytes: backlog.bytes(),
          safeOrigin: l2RefOf(config, chain.blockByTag('safe') ?? chain.genesis).l1Origin,
          l1Head: pipeline.status.headL1,
          seqWindowSize: config.seqWindowSize,
        },
        { ...PRESSURE_DEFAULTS, ...options.pressure },
      ),
    candidates: () => pool.candidates(nextBaseFee(chain.head('unsafe'))),
    sign: () => new Uint8Array(65),
    publish: async () => {},
    onSkipped: (skipped) => pool.onSkipped(skipped),
  })
  const batcher = rollup.batcher(
    { dataAvailability: 'calldata', ...options.batcher },
    { derivedUpTo: () => pipeline.status.currentL1.number },
  )

  /** Blocks second by second, as a clock would have it, until none is due. */
  const produceUntil = async (endMs: number): Promise<Block[]> => {
    const made: Block[] = []
    while (nowMs < endMs) {
      nowMs = Math.min(endMs, nowMs + Number(config.blockTime) * 1000)
      for (;;) {
        const before = chain.headRef('unsafe').number
        const isStuck = await producer.produceIfDue().then(
          () => false,
          (error: Failure) => {
            if (error.code === 'l1-behind' || error.code === 'l1-origin') return true
            throw error
          },
        )
        const head = chain.headRef('unsafe')
        if (isStuck || head.number === before) break
        made.push(chain.blockByHash(head.hash) as Block)
      }
    }
    return made
  }
  await sync()
  return {
    rollup,
    chain,
    pool,
    pipeline,
    batcher,
    reorgs,
    step: async ({ batcher: works = true } = {}) => {
      isL1Away = false
      await anvil.mine()
      const { timestamp } = await anvil.rpc<{ timestamp: Hex }>(
        'eth_getBlockByNumber',
        'latest',
        false,
      )
      await sync()
      await produceUntil(Number(timestamp) * 1000)
      if (works) await batcher.service.tick()
    },
    withoutL1: async (seconds) => {
      isL1Away = true
      return produceUntil(nowMs + seconds * 1000)
    },
  }
}
