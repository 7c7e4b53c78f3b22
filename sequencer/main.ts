/**
 * A sequencer: a node that makes the unsafe chain, and a batcher that puts it on L1.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { userError } from '../node/base/errors.ts'
import { encodeBlock } from '../node/chain/block.ts'
import { nextBaseFee } from '../node/chain/fees.ts'
import { l2RefOf } from '../node/derive/l2-ref.ts'
import { systemConfigOf } from '../node/derive/system-config.ts'
import { signerFor } from '../node/keys/resolve.ts'
import { FEE_LIMITS_DEFAULT } from '../node/l1/fees.ts'
import { L1Sender } from '../node/l1/sender.ts'
import type { Node } from '../node/main.ts'
import { blockPreimage } from '../node/p2p/signature.ts'
import { method, type RpcMethods } from '../node/rpc/method.ts'
import type { AdminActions } from '../node/rpc/methods/admin.ts'
import { postedBatch } from '../node/rpc/results/openledger.ts'
import { listOf } from '../node/rpc/results/shape.ts'
import { Backlog } from './batcher/backlog.ts'
import { Batcher, type Posted } from './batcher/batcher.ts'
import { BATCHER_DEFAULTS } from './batcher/options.ts'
import { Outbox } from './batcher/outbox.ts'
import { ProducerClock } from './clock.ts'
import { watchBatcher } from './metrics.ts'
import { ORIGIN_DEFAULTS, OriginSelector } from './origin.ts'
import { PRESSURE_DEFAULTS, pressureOf } from './pressure.ts'
import { PRODUCER_DEFAULTS, Producer } from './produce.ts'
import { replayDropped } from './replay.ts'

export type Sequencer = {
  /** The node's URL. */
  start(): Promise<string>
  stop(): Promise<void>
}

const BATCHER_POLL_MS = 500
/** How long a stop lets requests to L1 finish. */
const L1_STOP_MS_MAX = 1_000
const BATCHER_STOP_MS_MAX = 1_500
/** Posted transactions remembered for `openledger_listBatches`. */
const POSTED_MAX = 256

/** @throws NodeError `options` when a key is missing, or is not the one the chain configuration names although
 * nothing can have changed that. */
export function createSequencer(node: Node): Sequencer {
  const { config, chain, pool, log, options, p2p } = node
  const { batcher: batcherAddress, unsafeBlockSigner } = node.pipeline.status.system
  const mayRotate = config.l1SystemConfig !== undefined
  const onMismatch = (message: string): void => {
    if (!mayRotate) throw userError('options', message)
    log.warn('a key is not the one in force as far as this node has derived', { message })
  }
  const blockSigner = signerFor('sequencer', options, unsafeBlockSigner, onMismatch)
  const batchSigner = signerFor('batcher', options, batcherAddress, onMismatch)
  const chainId = BigInt(config.l2ChainId)

  const head = () => l2RefOf(config, chain.blockByTag('unsafe') ?? chain.genesis)
  const unposted = {
    unsafe: () => chain.headRef('unsafe'),
    safe: () => chain.headRef('safe'),
    blockByNumber: (number: bigint) => chain.blockByNumber(number),
  }
  const backlog = new Backlog(unposted)
  const clock = new ProducerClock(
    {
      wall: Date.now,
      monotonic: () => performance.now(),
      l1Timestamp: () => node.pipeline.status.headL1?.timestamp ?? null,
    },
    head().timestamp,
  )
  const producer = new Producer(PRODUCER_DEFAULTS, {
    config,
    chain,
    origins: new OriginSelector(ORIGIN_DEFAULTS, { config, reader: node.l1.reader, log }),
    log: log.child('sequencer'),
    now: () => clock.now(),
    head,
    system: () => systemConfigOf(config, chain.blockByTag('unsafe') ?? chain.genesis),
    pressure: () =>
      pressureOf(
        {
          backlogBytes: backlog.bytes(),
          safeOrigin: l2RefOf(config, chain.blockByTag('safe') ?? chain.genesis).l1Origin,
          l1Head: node.pipeline.status.headL1,
          seqWindowSize: config.seqWindowSize,
        },
        PRESSURE_DEFAULTS,
      ),
    candidates: (first) => pool.candidates(nextBaseFee(chain.head('unsafe')), first),
    sign: (block) => blockSigner.sign('block', blockPreimage(chainId, encodeBlock(block))),
    publish: async (block, signature) => {
      await p2p.publishBlock(block, signature)
    },
    onSkipped: (skipped) => pool.onSkipped(skipped),
  })

  const sender = new L1Sender({
    client: node.l1.client,
    signer: batchSigner,
    chainId: config.l1ChainId,
    fees: {
      ...FEE_LIMITS_DEFAULT,
      maxFeePerGasCeiling: gwei(options.l1FeeGweiMax),
      maxFeePerBlobGasCeiling: gwei(options.l1BlobFeeGweiMax),
    },
  })
  const posted: Posted[] = []
  const watch = watchBatcher(node, () => batcher.status())
  const batcher: Batcher = new Batcher(
    {
      ...BATCHER_DEFAULTS,
      pollMs: BATCHER_POLL_MS,
      intervalMs: options.batchIntervalMs,
      dataAvailability: options.batchDa,
    },
    {
      config,
      chain: { ...unposted, derivedUpTo: () => node.pipeline.status.currentL1.number },
      sender,
      outbox: new Outbox(node.store.table('outbox'), sender.address),
      archive: node.l1.blobs,
      log,
      now: () => performance.now(),
      onPosted: (entry) => {
        watch.onPosted(entry)
        posted.push(entry)
        if (posted.length > POSTED_MAX) posted.shift()
      },
    },
  )

  replayDropped(chain, pool)
  Object.assign(node.adminActions, {
    startSequencer: async (parent) => {
      const { hash } = chain.headRef('unsafe')
      if (parent !== null && parent !== hash) {
        throw userError('other-head', `the unsafe head is ${hash}, not ${parent}`)
      }
      producer.start()
    },
    stopSequencer: async () => {
      await producer.stop()
      return chain.headRef('unsafe').hash
    },
    isSequencing: () => producer.isRunning,
    cancelBatches: () => batcher.cancel(),
  } satisfies AdminActions)

  return {
    start: async () => {
      await blockSigner.check()
      await batchSigner.check()
      const url = await node.start([batchMethods(posted)])
      producer.start()
      batcher.start()
      return url
    },
    stop: async () => {
      // Neither an L1 that does not answer nor a proof under way may hold the process: what is to be
      // sent is in the outbox before it is sent.
      const giveUp = setTimeout(() => node.l1.client.close(), L1_STOP_MS_MAX)
      await producer.stop()
      await Promise.race([batcher.stop(), delay(BATCHER_STOP_MS_MAX, undefined, { ref: false })])
      clearTimeout(giveUp)
      await node.stop()
    },
  }
}

function gwei(amount: number): bigint {
  return BigInt(Math.round(amount * 1e9))
}

function batchMethods(posted: readonly Posted[]): RpcMethods {
  return {
    openledger_listBatches: method({
      summary: 'L1 transactions that carry batches, newest first, since the sequencer started',
      params: [],
      result: listOf(postedBatch),
      handler: () =>
        posted
          .toReversed()
          .map(({ transactionHash, l1Block, kind, versionedHashes, from, to }) => ({
            transactionHash,
            l1Block: { hash: l1Block.hash, number: Number(l1Block.number) },
            kind,
            versionedHashes: [...versionedHashes],
            from: Number(from),
            to: Number(to),
          })),
    }),
  }
}
