import t from 'tap'
import { blockBytesMax } from '../../sequencer/batcher/backlog.ts'
import {
  fillMs,
  PRESSURE_DEFAULTS as options,
  pressureOf,
  withinBytes,
} from '../../sequencer/pressure.ts'

const limits = { max: 1_000, low: 100, high: 300 }

t.test('blocks shrink with the backlog, between two thresholds', async (t) => {
  const sizes = [0, 100, 150, 200, 299, 300, 9_999].map((backlog) => blockBytesMax(backlog, limits))
  t.same(sizes, [1_000, 1_000, 750, 500, 5, 0, 0])
})

t.test('a block takes what fits, and passes over what does not', async (t) => {
  const candidates = [5, 4, 3, 1].map((length) => new Uint8Array(length))
  const sizes = (bytesMax: number) =>
    [...withinBytes(candidates, bytesMax)].map((raw) => raw.length)
  t.same(sizes(100), [5, 4, 3, 1])
  t.same(sizes(8), [5, 3])
  t.same(sizes(4), [4])
  t.same(sizes(0), [])
})

t.test('the later a block is, the less time it takes', async (t) => {
  const limit = { fillMsMax: 600, lateMsMax: 4_000 }
  const times = [-500, 0, 1_000, 2_000, 4_000, 60_000].map((late) => fillMs(late, limit))
  t.same(times, [600, 600, 450, 300, 0, 0])
})

t.test("near the end of the safe head's window blocks are empty, until it has moved", async (t) => {
  const at = (safe: bigint, head: bigint | null) =>
    pressureOf(
      {
        backlogBytes: 0,
        safeOrigin: { number: safe },
        l1Head: head === null ? null : { number: head },
        seqWindowSize: 100n,
      },
      options,
    )
  t.match(at(50n, 125n), { isRecovering: false, bytesMax: options.blockBytesMax })
  t.same(at(50n, 126n), { isRecovering: true, bytesMax: 0 })
  t.match(at(52n, 126n), { isRecovering: false })
  t.same(at(50n, null), { isRecovering: false, bytesMax: 0 }, 'nothing is known of L1 yet')
})
