/**
 * L1 changes its mind. Whatever the depth and whatever was in the orphaned part: the safe head is the one that a
 * derivation from scratch gives, a final block never moves, and unsafe blocks that are still possible stay.
 * More seeds: OPENLEDGER_REORG_RUNS=1000.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import type { Block } from '../../../node/chain/types.ts'
import type { Frame } from '../../../node/derive/frame.ts'
import { l2RefOf } from '../../../node/derive/l2-ref.ts'
import { batchOf } from '../../../sequencer/batcher/encode.ts'
import { INVALID_TX, type L1Content, MemoryL1, MemoryNode } from './memory.ts'
import { calldata, configLog, derive, testConfig, toFrames } from './world.ts'

const FINALITY = 64
const RUNS = Number(process.env.OPENLEDGER_REORG_RUNS ?? 40)
const config = testConfig({ seqWindowSize: 12n, channelTimeout: 6n, blockTime: 2n })
const KEYS: readonly Hex[] = ['0xb1', '0xb2', '0xb3'].map(
  (key): Hex => `0x${key.slice(2).padStart(40, '0')}`,
)
const txs = (seed: number, count: number) =>
  Array.from({ length: count }, (_, i) => [Uint8Array.of(2, seed, i)])
const rotation = (batcher: Hex) => configLog(0, [BigInt(batcher)])

/** The node's own safe head against a derivation from scratch, and what became of its chain. */
class Witness {
  readonly node: MemoryNode
  #finalized = new Map<bigint, Hex>()
  seen = { checks: 0, kept: 0, replaced: 0 }

  constructor(node: MemoryNode) {
    this.node = node
  }

  /** Syncs and compares. */
  async check(): Promise<void> {
    const { chain, l1 } = this.node
    const before = chain.canonical()
    await this.node.sync()
    const scratch = derive(config, l1.blocks, {
      invalid: ({ attributes }) => attributes.transactions.some((raw) => raw[0] === INVALID_TX),
    })
    assert.equal(chain.headRef('safe').hash, scratch.safe.hash)
    this.#checkFinal()
    const hashes = [...scratch.derived.slice(1).map(({ parent }) => parent.hash), scratch.safe.hash]
    const isStill = (block: Block, i: number): boolean =>
      i < hashes.length && scratch.derived.length > 0
        ? hashes[i] === block.hash
        : l1.blocks.some(({ hash }) => hash === l2RefOf(config, block).l1Origin.hash)
    const firstGone = before.findIndex((block, i) => !isStill(block, i))
    const kept = firstGone === -1 ? before.length : firstGone
    const expected = kept > scratch.derived.length ? before[kept - 1]?.hash : scratch.safe.hash
    assert.equal(chain.headRef('unsafe').hash, expected, 'unsafe blocks that are possible stay')
    this.seen.checks++
    if (kept === before.length) this.seen.kept++
    else this.seen.replaced++
  }

  #checkFinal(): void {
    const { chain } = this.node
    const { finalized, safe } = chain.heads
    assert.ok(finalized.number <= safe.number, 'finalized never exceeds safe')
    for (const [number, hash] of this.#finalized) {
      assert.ok(number <= finalized.number, 'finalized never goes back')
      assert.ok(chain.isCanonical({ number, hash }), 'a final block stays')
    }
    this.#finalized.set(finalized.number, finalized.hash)
  }
}

/** The unsafe blocks after the safe head, as one channel; `spoil` makes the newest unexecutable. */
function channelOf(node: MemoryNode, id: string, spoil = false): Frame[] {
  const blocks = node.chain.canonical().slice(Number(node.chain.headRef('safe').number))
  const batches = blocks.map(batchOf).map((batch, i) => {
    const isSpoiled = spoil && i === blocks.length - 1
    return isSpoiled ? { ...batch, transactions: [Uint8Array.of(INVALID_TX)] } : batch
  })
  return batches.length === 0 ? [] : toFrames(batches, { id, frameBytes: 150 })
}

type Contents = { batches: boolean; deposits: boolean; updates: boolean }

/** `count` L1 blocks with L2 blocks made and posted along the way. */
async function grow(node: MemoryNode, count: number, contents: Contents): Promise<void> {
  for (let i = 0; i < count; i++) {
    const isUpdate = contents.updates && i % 5 === 2
    const config = isUpdate
      ? [rotation(KEYS[i % 3] as Hex), configLog(2, [BigInt(30_000_000 + i)], 1)]
      : []
    const sender = isUpdate ? (KEYS[i % 3] as Hex) : node.batcher()
    const frames =
      contents.batches && i % 3 === 1 ? channelOf(node, `${i} ${node.l1.tip.hash}`) : []
    const inbox = frames.length === 0 ? [] : [calldata(frames, sender)]
    node.l1.mine({ gap: 6, deposits: contents.deposits ? i % 3 : 0, config, inbox })
    await node.build(txs(i, 3))
    if (i % 4 === 3) await node.sync()
  }
}

const nothing = { batches: false, deposits: false, updates: false }
const all = { batches: true, deposits: true, updates: true }
const orphaned: [string, Contents][] = [
  ['nothing', nothing],
  ['batches', { ...nothing, batches: true }],
  ['deposits', { ...nothing, batches: true, deposits: true }],
  ['config updates', { ...nothing, batches: true, updates: true }],
  ['everything', all],
]

for (const depth of [1, 2, 6, 12, 32, 64]) {
  t.test(`an L1 reorg of depth ${depth} ends where a derivation from scratch does`, async (t) => {
    for (const [name, contents] of orphaned) {
      for (const replacement of depth <= 12 ? [nothing, all] : [all]) {
        const node = new MemoryNode(config, new MemoryL1(FINALITY))
        const witness = new Witness(node)
        await grow(node, 8, all)
        await grow(node, FINALITY, contents)
        await witness.check()
        t.equal(node.l1.drop(depth).length, depth)
        // The first look falls on a branch that is shorter than what is known.
        node.l1.mine({ gap: 6 })
        await witness.check()
        await grow(node, depth, replacement)
        await witness.check()
        await grow(node, 3, all)
        await witness.check()
      }
      t.pass(`with ${name} in the orphaned part`)
    }
  })
}

t.test('when L1 flips between two branches twenty times, each look is right', async (t) => {
  const node = new MemoryNode(config, new MemoryL1(FINALITY))
  const witness = new Witness(node)
  await grow(node, 20, all)
  await witness.check()
  const common = node.l1.blocks
  await grow(node, 3, all)
  await witness.check()
  const branches = [node.l1.blocks, common]
  for (let i = 1; i <= 20; i++) {
    node.l1.blocks = branches[i % 2] as typeof common
    await grow(node, 2, i % 4 < 2 ? all : nothing)
    branches[i % 2] = node.l1.blocks
    await witness.check()
  }
  t.equal(witness.seen.checks, 22)
})

t.test('a reorg that a sleeping node missed makes nothing final that was orphaned', async (t) => {
  const node = new MemoryNode(config, new MemoryL1(FINALITY))
  const witness = new Witness(node)
  await grow(node, 31, all)
  await witness.check()
  node.l1.drop(10)
  // By the time it looks again the new branch is final, above the height it stands at.
  for (let i = 0; i < 150; i++) node.l1.mine({ gap: 6, deposits: 1 })
  await witness.check()
  t.ok(node.chain.headRef('finalized').number > 0n)
})

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('l1' as const),
      gap: fc.integer({ min: 1, max: 14 }),
      deposits: fc.nat(2),
      update: fc.option(fc.nat(2), { freq: 5 }),
      post: fc.constantFrom('nothing', 'all', 'half', 'spoiled', 'garbage', 'stranger'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('l2' as const),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reorg' as const),
      depth: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 24 })),
      keep: fc.boolean(),
      grow: fc.nat(2),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What one L1 block holds; the second half of a channel waits in `rest` for the next one. */
function contentOf(
  node: MemoryNode,
  event: Extract<Step, { kind: 'l1' }>,
  at: number,
  rest: Frame[],
): L1Content {
  const { post, gap, deposits } = event
  const key = event.update === null ? null : (KEYS[event.update] as Hex)
  const sender = key ?? node.batcher()
  const isChannel = post === 'all' || post === 'half' || post === 'spoiled'
  const id = `${at} ${node.l1.tip.hash}`
  const frames = isChannel ? channelOf(node, id, post === 'spoiled') : []
  const now = post === 'half' ? frames.slice(0, frames.length >> 1) : frames
  const inbox = [rest.splice(0), now]
    .filter((part) => part.length > 0)
    .map((part) => calldata(part, sender))
  rest.push(...frames.slice(now.length))
  if (post === 'garbage') inbox.push(calldata(Uint8Array.of(0, at, 1, 2), sender))
  if (post === 'stranger') {
    const other = KEYS.find((candidate) => candidate !== sender) as Hex
    inbox.push(calldata(channelOf(node, 'x'), other))
  }
  return { gap, deposits, inbox, config: key ? [rotation(key)] : [] }
}

/** Other blocks in place of the newest; with `keep` they hold the same as before. */
function replaceTip(node: MemoryNode, event: Extract<Step, { kind: 'reorg' }>): void {
  for (const { inbox, configLogs } of node.l1.drop(event.depth)) {
    node.l1.mine(event.keep ? { gap: 5, inbox, config: configLogs } : { gap: 5 })
  }
  for (let i = 0; i < event.grow; i++) node.l1.mine({ gap: 7 })
}

t.test(`${RUNS} random histories with reorgs, rotations, garbage and restarts`, async (t) => {
  const seen = { checks: 0, kept: 0, replaced: 0, final: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const node = new MemoryNode(config, new MemoryL1(8))
      const witness = new Witness(node)
      const rest: Frame[] = []
      for (const [at, event] of [...steps, { kind: 'sync' as const }].entries()) {
        if (event.kind === 'l1') node.l1.mine(contentOf(node, event, at, rest))
        else if (event.kind === 'l2') await node.build(txs(at, event.count))
        else if (event.kind === 'restart') node.restart()
        else {
          if (event.kind === 'reorg') replaceTip(node, event)
          await witness.check()
        }
      }
      for (const name of ['checks', 'kept', 'replaced'] as const) seen[name] += witness.seen[name]
      if (node.chain.headRef('finalized').number > 0n) seen.final++
    }),
    { numRuns: RUNS },
  )
  t.comment(JSON.stringify(seen))
  t.ok(seen.replaced > 0 && seen.kept > 0 && seen.final > 0, JSON.stringify(seen))
})
