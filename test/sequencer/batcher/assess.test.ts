/** The state of the outbox, as a table: rows and two views in, what to do out. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../../node/base/bytes.ts'
import {
  type Assessment,
  assess,
  type L1View,
  type L2View,
} from '../../../sequencer/batcher/assess.ts'
import type { Attempt, Load, OutboxRow, RowState } from '../../../sequencer/batcher/outbox.ts'

const options = { lostAfterL1Blocks: 2n, outboxRowsMax: 100 }
const hashOf = (name: string): Hex => keccakHex(utf8(name))
const blockHash = (number: bigint): Hex => hashOf(`block ${number}`)

function load(from: bigint, to: bigint, place = { part: 0, parts: 1 }): Load {
  return { channelId: hashOf(`${from}-${to}`), from, to, toHash: blockHash(to), ...place }
}

function attempt(name: string, carried: Load | null): Attempt {
  const fees = { maxFeePerGas: 1n, maxPriorityFeePerGas: 1n, maxFeePerBlobGas: 0n }
  const rest = { raw: new Uint8Array(1), gas: 21_000n, versionedHashes: [], atL1: 0n }
  return { hash: hashOf(name), fees, kind: 'calldata', ...rest, load: carried }
}

function row(nonce: bigint, carried: Load | null, state: RowState = 'offered'): OutboxRow {
  return { nonce, state, attempts: [attempt(`tx ${nonce}`, carried)] }
}

/** `landed`: nonce -> L1 height, by the first attempt. */
function l1(nonce: bigint, landed: Record<string, bigint>, change: Partial<L1View> = {}): L1View {
  const heights = Object.entries(landed).map(([n, height]) => [hashOf(`tx ${n}`), height] as const)
  const view = { nonce, finalizedNonce: 0n, taken: new Set<bigint>() }
  return { ...view, landed: new Map(heights), ...change }
}

function l2(safe: bigint, derivedUpTo: bigint, replacedFrom = 10_000n): L2View {
  return {
    safe: { number: safe, hash: blockHash(safe) },
    derivedUpTo,
    isCanonical: ({ number, hash }) => number < replacedFrom && hash === blockHash(number),
  }
}

function brief({ next, pending, useless, open, released }: Assessment) {
  const nonces = (rows: readonly OutboxRow[]) => rows.map(({ nonce }) => Number(nonce))
  return {
    next: Number(next),
    pending: nonces(pending),
    useless: nonces(useless),
    open: nonces(open),
    released: nonces(released),
  }
}

const none = { useless: [], open: [], released: [] }
const [a, b, c] = [load(1n, 5n), load(6n, 9n), load(10n, 12n)]

t.test('what is on its way covers its blocks', async (t) => {
  const rows = [row(0n, a), row(1n, b)]
  t.same(brief(assess(rows, l1(0n, {}), l2(0n, 0n), options)), {
    ...none,
    next: 10,
    pending: [0, 1],
  })
  t.same(brief(assess(rows, l1(1n, { 0: 90n }), l2(0n, 0n), options)), {
    ...none,
    next: 10,
    pending: [1],
  })
})

t.test(
  'a range is lost when derivation has passed it by, and then what lies behind it too',
  async (t) => {
    const rows = [row(0n, a), row(1n, b)]
    const landed = l1(2n, { 0: 90n, 1: 91n })
    t.equal(assess(rows, landed, l2(0n, 91n), options).next, 10n, 'not yet')
    const lost = assess(rows, landed, l2(0n, 92n), options)
    t.equal(lost.next, 1n, 'from the safe head again')
    t.same(lost.lost, [a])
  },
)

t.test(
  'a hole makes what is behind it useless: its nonces are free for something else',
  async (t) => {
    const rows = [row(0n, a), row(1n, b), row(2n, c)]
    const taken = l1(1n, {}, { taken: new Set([0n]) })
    t.same(brief(assess(rows, taken, l2(0n, 0n), options)), {
      ...none,
      next: 1,
      pending: [1, 2],
      useless: [1, 2],
    })
    const replaced = assess(rows, l1(1n, { 0: 90n }), l2(5n, 90n, 9n), options)
    t.same(
      brief(replaced),
      { ...none, next: 6, pending: [1, 2], useless: [1, 2] },
      'blocks were replaced',
    )
    const between = assess(
      [row(0n, load(1n, 3n)), ...rows.slice(1)],
      l1(0n, {}),
      l2(5n, 90n),
      options,
    )
    t.same(
      brief(between),
      { ...none, next: 13, pending: [0, 1, 2] },
      'a useless one in front must land',
    )
  },
)

t.test('a channel counts when all its parts are there, in order', async (t) => {
  const part = (n: number) => load(1n, 9n, { part: n, parts: 3 })
  const rows = [row(0n, part(0)), row(1n, part(1)), row(2n, part(2))]
  t.equal(assess(rows, l1(1n, { 0: 90n }), l2(0n, 0n), options).next, 10n)
  t.equal(assess(rows.slice(0, 2), l1(1n, { 0: 90n }), l2(0n, 0n), options).next, 1n)
  const broken = l1(2n, { 0: 90n }, { taken: new Set([1n]) })
  t.same(brief(assess(rows, broken, l2(0n, 0n), options)), {
    ...none,
    next: 1,
    pending: [2],
    useless: [2],
  })
})

t.test('a cancelled nonce must land and carries nothing', async (t) => {
  const cancelled: OutboxRow = {
    ...row(0n, a),
    attempts: [attempt('tx 0', a), attempt('cancel', null)],
  }
  const rows = [cancelled, row(1n, b)]
  t.same(brief(assess(rows, l1(0n, {}), l2(0n, 0n), options)), {
    ...none,
    next: 1,
    pending: [0, 1],
    useless: [1],
  })
  const first = assess(rows, l1(1n, { 0: 90n }), l2(0n, 0n), options)
  t.equal(first.next, 10n, 'unless what was to be cancelled landed before')
})

t.test('open nonces are used first, and only where nothing in use is behind them', async (t) => {
  const rows = [row(0n, a), row(1n, b, 'open'), row(2n, c, 'open')]
  t.same(brief(assess(rows, l1(0n, {}), l2(0n, 0n), options)), {
    ...none,
    next: 6,
    pending: [0],
    open: [1, 2],
  })
  const reorged = assess([row(0n, a, 'open'), row(1n, b)], l1(0n, {}), l2(0n, 0n), options)
  t.same(brief(reorged), { ...none, next: 10, pending: [0, 1] }, 'no gap')
})

t.test(
  'rows leave when their nonce is final and their range safe or lost; the last stays',
  async (t) => {
    const rows = [row(0n, a), row(1n, b), row(2n, c)]
    const final = l1(3n, { 0: 90n, 1: 91n, 2: 92n }, { finalizedNonce: 3n })
    t.same(brief(assess(rows, final, l2(5n, 90n), options)).released, [0])
    t.same(brief(assess(rows, final, l2(12n, 92n), options)).released, [0, 1])
    t.same(
      brief(assess(rows, { ...final, finalizedNonce: 0n }, l2(12n, 92n), options)).released,
      [],
    )
    const few = { ...options, outboxRowsMax: 2 }
    t.same(brief(assess(rows, { ...final, finalizedNonce: 0n }, l2(12n, 92n), few)).released, [0])
  },
)

t.test('whatever happens, nonces have no gap and coverage no hole', async () => {
  const event = fc.record({
    blocks: fc.integer({ min: 1, max: 4 }),
    fate: fc.constantFrom('landed', 'pending', 'taken', 'cancelled'),
    state: fc.constantFrom<RowState>('held', 'offered', 'open'),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), fc.nat(20), (events, safe) => {
      let from = 1n
      const rows = events.map(({ blocks, fate, state }, i) => {
        const carried = load(from, from + BigInt(blocks) - 1n)
        from += BigInt(blocks)
        return row(BigInt(i), fate === 'cancelled' ? null : carried, state)
      })
      const used = events.findLastIndex(({ fate }) => fate === 'landed' || fate === 'taken') + 1
      const landed: Record<string, bigint> = {}
      const taken = new Set<bigint>()
      for (let i = 0; i < used; i++) {
        if (events[i]?.fate === 'taken') taken.add(BigInt(i))
        else landed[i] = 90n
      }
      const view = l1(BigInt(used), landed, { taken })
      const found = assess(rows, view, l2(BigInt(safe), 89n), options)
      const live = [...found.pending, ...found.open].map(({ nonce }) => Number(nonce))
      assert.deepEqual(
        live,
        rows.slice(used).map((_, i) => used + i),
        'every unused nonce, in order',
      )
      assert.ok(found.next > BigInt(safe))
      assert.deepEqual(
        found.useless,
        found.pending.slice(found.pending.length - found.useless.length),
      )
    }),
    { numRuns: 500 },
  )
})
