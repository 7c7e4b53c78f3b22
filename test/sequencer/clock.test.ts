import t from 'tap'
import { ProducerClock } from '../../sequencer/clock.ts'

const START = 1_800_000_000

/** A machine whose clock can be set; times in seconds after START. */
function machine(options: { wall?: number; head?: number; l1?: number | null } = {}) {
  const state = { wall: options.wall ?? 0, mono: 77, l1: options.l1 === undefined ? 0 : options.l1 }
  const clock = new ProducerClock(
    {
      wall: () => (START + state.wall) * 1000,
      monotonic: () => state.mono * 1000,
      l1Timestamp: () => (state.l1 === null ? null : BigInt(START + state.l1)),
    },
    BigInt(START + (options.head ?? 0)),
  )
  const pass = (seconds: number, jump = 0): void => {
    state.mono += seconds
    state.wall += seconds + jump
  }
  return { state, pass, now: () => clock.now() / 1000 - START }
}

t.test('while the system clock is right it is the time', async (t) => {
  const { state, pass, now } = machine()
  t.equal(now(), 0)
  pass(12)
  state.l1 = 12
  t.equal(now(), 12)
  pass(7)
  t.equal(now(), 19)
})

t.test('set back by an hour, time goes on from what L1 has shown', async (t) => {
  const { state, pass, now } = machine()
  pass(20)
  state.l1 = 12
  t.equal(now(), 20)
  pass(1, -3_600)
  t.equal(now(), 21, 'the monotonic clock has counted on')
  pass(12)
  t.equal(now(), 33)
  pass(1, 3_600)
  t.equal(now(), 34, 'and corrected, it is right again')
})

t.test('set forward by an hour, time runs ahead by half a minute and no more', async (t) => {
  const { pass, now } = machine()
  pass(10, 3_600)
  t.equal(now(), 40)
  pass(10)
  t.equal(now(), 50, 'then at its own pace')
  pass(0, -3_600)
  t.equal(now(), 20)
})

t.test('a chain that was down for an hour catches up as soon as L1 tells the time', async (t) => {
  const { state, now } = machine({ wall: 3_600, head: 0, l1: null })
  t.equal(now(), 30)
  state.l1 = 3_590
  t.equal(now(), 3_600)
})

t.test('an L1 that stands still does not hold it up', async (t) => {
  const { pass, now } = machine()
  pass(5_000)
  t.equal(now(), 5_000)
})
