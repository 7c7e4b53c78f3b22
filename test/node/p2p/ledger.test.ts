import fc from 'fast-check'
import t from 'tap'
import { BAN_SCORE } from '../../../node/p2p/blame.ts'
import { Ledger } from '../../../node/p2p/ledger.ts'
import { RateTable, TokenBucket } from '../../../node/p2p/rate.ts'

const MINUTE_MS = 60_000

t.test('a proven lie is enough to be shut out, slowness is not', async (t) => {
  const ledger = new Ledger(() => 0)
  ledger.blame('liar', 'wrong-content')
  ledger.blame('slow', 'timeout')
  ledger.blame('empty', 'not-found')
  t.ok(ledger.score('liar') <= BAN_SCORE)
  t.ok(ledger.score('slow') > BAN_SCORE)
  t.equal(ledger.score('empty'), 0)
})

t.test('points add up and are forgiven by half every ten minutes', async (t) => {
  let now = 0
  const ledger = new Ledger(() => now)
  ledger.blame('a', 'timeout')
  ledger.blame('a', 'timeout')
  t.equal(ledger.score('a'), -20)
  now = 10 * MINUTE_MS
  t.equal(ledger.score('a'), -10)
  ledger.blame('a', 'timeout')
  t.equal(ledger.score('a'), -20)
})

t.test('a ban lasts an hour', async (t) => {
  let now = 0
  const ledger = new Ledger(() => now)
  ledger.ban('a')
  now = 60 * MINUTE_MS - 1
  t.equal(ledger.isBanned('a'), true)
  now += 1
  t.equal(ledger.isBanned('a'), false)
  t.equal(ledger.isBanned('b'), false)
})

t.test('a crowd of blamed peers cannot fill the memory; the newest are kept', async (t) => {
  const ledger = new Ledger(() => 0)
  for (let i = 0; i < 1_025; i++) ledger.blame(`peer ${i}`, 'timeout')
  t.equal(ledger.score('peer 0'), 0)
  t.equal(ledger.score('peer 1'), -10)
  t.equal(ledger.score('peer 1024'), -10)
})

t.test('a bucket gives its burst, then its rate', async (t) => {
  const bucket = new TokenBucket({ perSecond: 4, burst: 3 }, 0)
  const taken = (ms: number) => bucket.take(ms)
  t.same([taken(0), taken(0), taken(0), taken(0)], [true, true, true, false])
  t.same([taken(249), taken(250), taken(250)], [false, true, false])
})

t.test(
  'in any window a bucket gives at most burst + rate x time, whatever the clock does',
  async () => {
    const steps = fc.array(fc.integer({ min: -500, max: 2_000 }), { maxLength: 100 })
    fc.assert(
      fc.property(steps, (deltas) => {
        const bucket = new TokenBucket({ perSecond: 4, burst: 5 }, 0)
        let now = 0
        let forwardMs = 0
        let given = 0
        for (const delta of deltas) {
          now += delta
          forwardMs += Math.max(0, delta)
          if (bucket.take(now)) given++
        }
        return given <= 5 + (4 * forwardMs) / 1000 + 1e-6
      }),
    )
  },
)

t.test('one greedy peer does not use up what is for all', async (t) => {
  const rate = { perSecond: 0, burst: 2 }
  const table = new RateTable({ perPeer: rate, global: { perSecond: 0, burst: 3 } }, () => 0)
  const greedy = [1, 2, 3, 4, 5].map(() => table.take('greedy'))
  t.same(greedy, [true, true, false, false, false])
  t.equal(table.take('other'), true)
  t.equal(table.take('third'), false, 'three were for all')
})
