/**
 * How fast a node that knows nothing derives the chain from L1: seconds of chain per second of work. A real L1
 * (anvil, a block each 12 s of its own time, batches in blobs every five of them), one block of ours a second with
 * so many transfers, read over HTTP, verified, executed and stored. Run it alone on a quiet machine:
 *
 *   node test/bench/derivation.ts [--blocks 600] [--transfers 0,10,50]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Block } from '../../node/chain/types.ts'
import { encodeChannel, encodeSubmissions } from '../../sequencer/batcher/encode.ts'
import { startAnvil } from '../node/l1/anvil.ts'
import { Rollup } from '../sequencer/batcher/rollup.ts'
import { conditions, load } from './conditions.ts'

const L1_SECONDS = 12
const L1_BLOCKS_PER_BATCH = 5
const BLOBS_PER_TRANSACTION = 6

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '600' },
    transfers: { type: 'string', default: '0,10,50' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(
    '--blocks 600         L2 blocks, one a second\n--transfers 0,10,50  in each block, a run each',
  )
  process.exit(0)
}

/** Makes the chain and posts it; not measured. */
async function prepare(rollup: Rollup, blocks: number, transfers: number): Promise<number> {
  const { anvil } = rollup
  let time = Number(
    (await anvil.rpc<{ timestamp: string }>('eth_getBlockByNumber', 'latest', false)).timestamp,
  )
  const nextTime = async (): Promise<void> => {
    time += L1_SECONDS
    await anvil.rpc('evm_setNextBlockTimestamp', time)
  }
  let waiting: Block[] = []
  let blobs = 0
  for (let made = 0, l1 = 1; made < blocks; l1++) {
    const count = Math.min(L1_SECONDS, blocks - made)
    waiting.push(...(await rollup.buildMany(count, transfers)))
    made += count
    await nextTime()
    if (l1 % L1_BLOCKS_PER_BATCH !== 0 && made < blocks) {
      await anvil.mine()
      continue
    }
    const target = { kind: 'blobs', blobsPerTransactionMax: BLOBS_PER_TRANSACTION } as const
    for (const [i, submission] of encodeSubmissions(encodeChannel(waiting), target).entries()) {
      if (submission.kind !== 'blobs') continue
      if (i > 0) await nextTime()
      blobs += submission.blobs.length
      await rollup.post({ kind: 'blobs', blobs: [...submission.blobs] })
    }
    waiting = []
  }
  return blobs
}

const home = mkdtempSync(join(tmpdir(), 'openledger-derivation-'))
const stops: (() => unknown)[] = []
const anvil = await startAnvil()
try {
  console.log(conditions({ anvil: '1.7.1', blocks: values.blocks }))
  for (const [run, text] of values.transfers.split(',').entries()) {
    const transfers = Number(text)
    const blocks = Number(values.blocks)
    const t = {
      teardown: (stop: () => unknown) => stops.push(stop),
      testdir: () => join(home, `${run}`),
    }
    const window = { seqWindowSize: 3600n, channelTimeout: 50n }
    const rollup = await Rollup.start(t, anvil, window)
    const blobs = await prepare(rollup, blocks, transfers)
    const node = await rollup.follower()
    const [began, cpu, before] = [performance.now(), process.cpuUsage(), load()]
    await node.sync()
    const seconds = (performance.now() - began) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const head = node.chain.headRef('safe')
    if (head.hash !== rollup.unsafe.hash) throw new Error('the follower derived another chain')
    console.log(
      [
        `${transfers} transfers a block`,
        `${head.number} s of chain in ${seconds.toFixed(1)} s: ${(Number(head.number) / seconds).toFixed(0)}x real time`,
        `${((Number(head.number) * transfers) / seconds).toFixed(0)} transfers/s`,
        `cpu ${((user + system) / 1e6).toFixed(1)} s`,
        `${blobs} blobs`,
        `load ${before} to ${load()}`,
      ].join('; '),
    )
  }
} finally {
  for (const stop of stops.reverse()) await stop()
  await anvil.stop()
  rmSync(home, { recursive: true, force: true })
}
