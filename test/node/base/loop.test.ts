import t from 'tap'
import { NodeError } from '../../../node/base/errors.ts'
import { type Log, silentLog } from '../../../node/base/log.ts'
import { limitLog } from '../../../node/base/log-limit.ts'
import { Loop } from '../../../node/base/loop.ts'

const quick = { pollMs: 1, retryMs: 1, retryMsMax: 2 }
const long = 2 ** 30

/** A log that keeps what it is told. */
function recorder(): { log: Log; lines: [string, unknown][] } {
  const lines: [string, unknown][] = []
  const write = (event: string, data?: unknown) => lines.push([event, data])
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log }
  return { log, lines }
}

/** A loop over these turns, and a promise of the moment when they are used up. */
function loopOver(turns: readonly (() => boolean)[], options = quick, log = silentLog) {
  let done = (): void => {}
  const finished = new Promise<void>((resolve) => {
    done = resolve
  })
  const resets: number[] = []
  let at = 0
  const loop = new Loop(options, {
    name: 'test',
    log,
    turn: async () => {
      const turn = turns[at++]
      if (at >= turns.length) setImmediate(done)
      return turn?.() ?? false
    },
    reset: () => {
      resets.push(at)
    },
  })
  return { loop, finished, resets, turns: () => at }
}

const fail = (severity: NodeError['severity']) => () => {
  throw new NodeError('test', severity, `a ${severity} failure`)
}

t.test('with more to do it goes on at once, whatever the poll interval', async (t) => {
  const more = () => true
  const { loop, finished } = loopOver([more, more, more], { ...quick, pollMs: long })
  loop.start()
  await finished
  await loop.stop()
  t.equal(loop.fatal, null)
})

t.test('after a failure it tries again, and forgets what a reset makes doubtful', async (t) => {
  const ok = () => false
  const { loop, finished, resets } = loopOver([fail('retry'), fail('reset'), ok])
  loop.start()
  await finished
  await loop.stop()
  t.same(resets, [2])
})

t.test('a fatal failure ends it and is kept', async (t) => {
  const { log, lines } = recorder()
  const { loop, finished, turns } = loopOver([fail('fatal')], quick, log)
  loop.start()
  await finished
  await loop.stop()
  t.equal(loop.fatal?.message, 'a fatal failure')
  t.equal(turns(), 1)
  t.match(lines, [['test has stopped', { error: 'a fatal failure' }]])
})

t.test('a loop that ended for good goes on when it is revived, and not after a stop', async (t) => {
  const { log } = recorder()
  let [turns, ended, wentOn] = [0, (): void => {}, (): void => {}]
  const [end, goingOn] = [
    new Promise<void>((resolve) => {
      ended = resolve
    }),
    new Promise<void>((resolve) => {
      wentOn = resolve
    }),
  ]
  const loop = new Loop(quick, {
    name: 'test',
    log: { ...log, error: () => ended() },
    turn: async () => {
      if (++turns === 1) throw new NodeError('test', 'fatal', 'broken')
      wentOn()
      return false
    },
  })
  loop.start()
  await end
  t.equal(loop.fatal?.message, 'broken')
  loop.revive()
  t.equal(loop.fatal, null)
  await goingOn
  await loop.stop()
  const before = turns
  loop.revive()
  loop.start()
  t.equal(turns, before)
})

t.test('stop does not wait for a pause', async (t) => {
  const slow = { pollMs: long, retryMs: long, retryMsMax: long }
  for (const turn of [() => false, fail('retry')]) {
    const { loop, finished } = loopOver([turn], slow)
    loop.start()
    await finished
    await loop.stop()
  }
  t.pass('both ended')
})

t.test('a failure that repeats is logged a few times and counted', async (t) => {
  let time = 0
  const { log, lines } = recorder()
  const limited = limitLog(log, { linesMax: 2, windowMs: 1000 }, () => time)
  for (let i = 0; i < 50; i++) limited.warn('waits', { i })
  limited.info('another event')
  limited.error('stopped')
  t.same(lines, [
    ['waits', { i: 0 }],
    ['waits', { i: 1 }],
    ['another event', {}],
    ['stopped', undefined],
  ])
  time = 1000
  limited.child('room').warn('waits', { i: 0 })
  limited.warn('waits', { i: 50 })
  t.same(lines.at(-1), ['waits', { i: 50, suppressed: 48 }])
})
