import fc from 'fast-check'
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { decodeBlock } from '../../../node/chain/block.ts'
import {
  type Step,
  type SyncContext,
  type SyncEvent,
  type SyncState,
  transition,
} from '../../../node/p2p/sync.ts'
import { type SyncChain, Syncer } from '../../../node/p2p/syncer.ts'
import type { ImportOutcome, VerifiedBlock } from '../../../node/p2p/types.ts'
import { MemoryChain, makeBlock, makeChain, until, verified } from './support.ts'

const context: SyncContext = { head: 10n, floor: 0n, retryMs: 100 }
const block = (number: bigint): VerifiedBlock => verified(makeBlock(number))
const gossiped = (number: bigint): SyncEvent => ({ kind: 'gossiped', block: block(number) })
const imported = (kind: 'imported' | 'known' | 'unknown-parent'): SyncEvent => ({
  kind: 'imported',
  outcome: { kind },
})
const IDLE: SyncState = { kind: 'idle' }

/** Feeds the events one after the other, the head where each says it is. */
function walk(
  steps: readonly { event: SyncEvent; head?: bigint }[],
  from: SyncState = IDLE,
): Step[] {
  const seen: Step[] = []
  let state = from
  for (const { event, head } of steps) {
    const step = transition(state, event, { ...context, head: head ?? context.head })
    seen.push(step)
    state = step.state
  }
  return seen
}

function names(steps: readonly Step[]): string[] {
  return steps.map(({ state, action }) => `${state.kind}${action ? ` / ${action.kind}` : ''}`)
}

t.test('the whole diagram is walked', async (t) => {
  t.same(
    names(
      walk([
        { event: { kind: 'peer-joined' } },
        { event: { kind: 'downloaded', blocks: [block(11n), block(12n)] } },
        { event: imported('imported'), head: 11n },
        { event: imported('imported'), head: 12n },
        { event: { kind: 'downloaded', blocks: [] }, head: 12n },
        { event: gossiped(13n), head: 12n },
        { event: imported('imported'), head: 13n },
        { event: gossiped(20n), head: 13n },
        { event: imported('unknown-parent'), head: 13n },
        { event: { kind: 'failed', reason: 'timeout' }, head: 13n },
        { event: { kind: 'retry-due' }, head: 13n },
        { event: { kind: 'downloaded', blocks: [] }, head: 13n },
        { event: { kind: 'peer-joined' }, head: 13n },
      ]),
    ),
    [
      'downloading / request', // is there more?
      'importing / import',
      'importing / import',
      'downloading / request', // and more?
      'idle',
      'importing / import',
      'idle',
      'importing / import',
      'downloading / request', // 14 to 20
      'retrying / wait',
      'downloading / request',
      'retrying / wait', // block 20 was signed, so someone has it
      'downloading / request',
    ],
  )
})

t.test('a gap is asked for from our head up to the block that showed it', async (t) => {
  const steps = walk([{ event: gossiped(20n) }, { event: imported('unknown-parent') }])
  t.same(steps[1]?.action, { kind: 'request', start: 11n, count: 10 })
})

t.test('blocks gossiped meanwhile move the goal, and are fetched after', async (t) => {
  const steps = walk([
    { event: gossiped(12n) },
    { event: imported('unknown-parent') },
    { event: gossiped(14n) },
    { event: { kind: 'downloaded', blocks: [block(11n), block(12n)] } },
    { event: imported('imported'), head: 11n },
    { event: imported('imported'), head: 12n },
  ])
  t.same(steps.at(-1)?.action, { kind: 'request', start: 13n, count: 2 })
})

t.test(
  'a range that does not join goes back, twice as far each time, never below the floor',
  async (t) => {
    const asked: bigint[] = []
    const deep = { ...context, head: 100n, floor: 60n }
    let state = transition(IDLE, { kind: 'peer-joined' }, deep).state
    for (let i = 0; i < 4; i++) {
      if (state.kind !== 'downloading') break
      asked.push(state.from)
      const got = transition(state, { kind: 'downloaded', blocks: [block(state.from)] }, deep)
      state = transition(got.state, imported('unknown-parent'), deep).state
    }
    t.same(asked, [101n, 93n, 77n, 61n])
    t.equal(state.kind, 'retrying', 'at the floor there is nothing left to try')
  },
)

t.test('waits double, are capped, and end', async (t) => {
  let state = walk([{ event: gossiped(12n) }, { event: imported('unknown-parent') }])[1]
    ?.state as SyncState
  const waits: number[] = []
  for (let i = 0; i < 20 && state.kind !== 'idle'; i++) {
    const failed = transition(state, { kind: 'failed', reason: 'timeout' }, context)
    if (failed.action?.kind === 'wait') waits.push(failed.action.ms)
    else t.same(failed.action, { kind: 'give-up', reason: 'timeout' })
    state = transition(failed.state, { kind: 'retry-due' }, context).state
  }
  t.same(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000])
})

t.test('an invalid block waits the longest and is looked at once more', async (t) => {
  const outcome: ImportOutcome = { kind: 'invalid', reason: 'state root' }
  const steps = walk([{ event: gossiped(11n) }, { event: { kind: 'imported', outcome } }])
  t.same(steps[1]?.action, { kind: 'wait', ms: 30_000 })
})

t.test('an event that does not belong to a state changes nothing', async (t) => {
  const stray: SyncEvent[] = [
    { kind: 'downloaded', blocks: [block(11n)] },
    imported('imported'),
    { kind: 'failed', reason: 'late' },
    { kind: 'retry-due' },
  ]
  for (const event of stray) t.same(transition(IDLE, event, context), { state: IDLE })
})

t.test('no order of events makes two actions run at once', async () => {
  const event = fc.oneof(
    fc.integer({ min: 1, max: 40 }).map((n) => gossiped(BigInt(n))),
    fc.constant<SyncEvent>({ kind: 'peer-joined' }),
    fc.constant<SyncEvent>({ kind: 'answer' } as never),
  )
  const choice = fc.constantFrom('imported', 'known', 'unknown-parent', 'failed', 'empty')
  fc.assert(
    fc.property(fc.array(fc.tuple(event, choice), { maxLength: 60 }), (moves) => {
      let state: SyncState = IDLE
      let running: string | undefined
      for (const [move, answer] of moves) {
        let next = move
        if ((move.kind as string) === 'answer') {
          if (!running) continue
          next = answerTo(running, answer)
          running = undefined
        } else if (running === 'wait' && move.kind === 'peer-joined') {
          // The timer is cleared when retrying is left.
          running = undefined
        }
        const step = transition(state, next, context)
        state = step.state
        if (!step.action || step.action.kind === 'give-up') continue
        if (running) return false
        running = step.action.kind
      }
      return true
    }),
  )
})

function answerTo(running: string, answer: string): SyncEvent {
  if (running === 'wait') return { kind: 'retry-due' }
  if (answer === 'failed') return { kind: 'failed', reason: 'x' }
  if (running === 'request') {
    return { kind: 'downloaded', blocks: answer === 'empty' ? [] : [block(11n)] }
  }
  return imported(answer === 'empty' ? 'known' : (answer as 'imported'))
}

/** Asks a chain in memory, failing as often as told. */
function syncerOver(chain: SyncChain, source: MemoryChain, failures = 0): Syncer {
  const blocks = new Map<bigint, VerifiedBlock>()
  let left = failures
  return new Syncer(
    { retryMs: 1 },
    {
      chain,
      log: silentLog,
      requestBlocks: async (start, count) => {
        if (left-- > 0) throw new Error('the peer is away')
        for (const signed of source.blocksByRange(start, count)) {
          const decoded = decodeBlock(signed.block)
          blocks.set(decoded.header.number, { ...signed, decoded })
        }
        const out: VerifiedBlock[] = []
        for (let n = start; n < start + BigInt(count); n++) {
          const found = blocks.get(n)
          if (found) out.push(found)
        }
        return out
      },
    },
  )
}

t.test('a syncer whose peer fails three times still gets there', async (t) => {
  const blocks = makeChain(30)
  const chain = new MemoryChain()
  const syncer = syncerOver(chain, new MemoryChain(blocks), 3)
  t.teardown(() => syncer.stop())
  syncer.gossiped(verified(blocks[29] as (typeof blocks)[0]))
  await until('block 30', () => chain.head() === 30n)
  await until('rest', () => syncer.state.kind === 'idle')
})

t.test('a chain that was replaced below our head is followed from the fork', async (t) => {
  const common = makeChain(5)
  const ours = [...common]
  const theirs = [...common]
  for (let n = 6n; n <= 12n; n++) {
    ours.push(makeBlock(n, { parentHash: ours.at(-1)?.hash as never, salt: 3 }))
    theirs.push(makeBlock(n, { parentHash: theirs.at(-1)?.hash as never, salt: 4 }))
  }
  theirs.push(makeBlock(13n, { parentHash: theirs.at(-1)?.hash as never, salt: 4 }))
  const mine = new MemoryChain(ours)
  const source = new MemoryChain(theirs)
  // Takes a block whose parent stands anywhere, dropping what stood above it.
  const importBlock: SyncChain['importBlock'] = async ({ decoded, ...signed }) => {
    if (mine.hashes.includes(decoded.hash)) return { kind: 'known' }
    const parent = mine.hashes.indexOf(decoded.header.parentHash)
    if (parent < 0) return { kind: 'unknown-parent' }
    mine.hashes.length = parent + 1
    mine.blocks.length = parent
    mine.append(signed, decoded)
    return { kind: 'imported' }
  }
  const syncer = syncerOver({ head: mine.head, floor: mine.floor, importBlock }, source)
  t.teardown(() => syncer.stop())
  syncer.gossiped(verified(theirs[12] as (typeof theirs)[0]))
  await until('their chain', () => mine.hashes.at(-1) === source.hashes.at(-1))
  t.same(mine.hashes, source.hashes)
})
