import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type LogOptions, openLog } from '../../../node/base/log.ts'

function aLog(change: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const control = openLog({ level: 'info', write: (line) => lines.push(line), ...change })
  const events = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { ...control, lines, events }
}

t.test('a line is one JSON object with time, room, event and data', async (t) => {
  const { log, events } = aLog()
  log.child('derive').info('block is safe', { number: 5n, error: new Error('why') })
  t.match(events(), [
    {
      level: 30,
      time: /^\d{4}-\d\d-\d\dT/,
      room: 'derive',
      msg: 'block is safe',
      number: '5',
      error: 'why',
    },
  ])
})

t.test('people get a line they can read, without colours where there is no terminal', async (t) => {
  const { log, lines } = aLog({ format: 'human' })
  log.child('p2p').warn('peer lost', { peer: 'ab', reason: 'it went away' })
  t.match(
    lines[0],
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}p2p {7}peer lost peer=ab reason="it went away"\n$/,
  )
})

t.test('a secret never appears, in whatever field and spelling', async (t) => {
  const key = `0x${'ab'.repeat(32)}`
  const { log, lines } = aLog({ secrets: [key, 'pass.word'], level: 'debug' })
  log.error(`cannot use ${key}`, { key, nested: { deep: [key.slice(2).toUpperCase()] } })
  log.child('x').debug('password', { given: 'my pass.word is', other: 'passXword' })
  t.notMatch(lines.join(''), /abab|pass\.word/i)
  t.match(lines[0], /\(secret\)/)
  t.match(lines[1], /passXword/, 'and nothing else is cut')
})

t.test('rooms have levels of their own, and an operator changes them while they run', async (t) => {
  const { log, events, setLevel, levels } = aLog({ levels: ['rpc=error', 'p2p=debug'] })
  const [rpc, p2p] = [log.child('rpc'), log.child('p2p')]
  rpc.warn('hidden')
  p2p.debug('shown')
  log.debug('hidden')
  setLevel('debug', 'rpc')
  rpc.debug('now shown')
  setLevel('silent')
  rpc.error('hidden')
  t.same(
    events().map(({ msg }) => msg),
    ['shown', 'now shown'],
  )
  t.same(levels(), { '*': 'silent' }, 'setting all of them forgets the single ones')
  t.throws(() => setLevel('loud'), /not room=level/)
  t.throws(() => aLog({ levels: ['p2p'] }), /log level 'p2p' is not room=level/)
})

t.test('an event that repeats without end is counted instead of written', async (t) => {
  let now = 0
  const { log, events } = aLog({ now: () => now })
  for (let i = 0; i < 100_000; i++) log.warn('l1 does not answer', { attempt: i })
  log.warn('something else')
  t.equal(events().length, 101, 'a hundred, and the other event is not held back')
  now = 10_000
  log.warn('l1 does not answer')
  t.match(events().at(-1), { msg: 'l1 does not answer', suppressed: 99_900 })
})

t.test('SIGHUP after logrotate goes on in a new file', async (t) => {
  const path = join(t.testdir(), 'logs', 'node.jsonl')
  const { log, reopen } = openLog({ level: 'info', path })
  log.info('one')
  renameSync(path, `${path}.1`)
  reopen()
  // The file is opened in the background.
  while (!existsSync(path)) await new Promise((resolve) => setImmediate(resolve))
  log.info('two')
  while (!readFileSync(path, 'utf8')) await new Promise((resolve) => setImmediate(resolve))
  t.match(readFileSync(`${path}.1`, 'utf8'), /"one"/)
  t.match(readFileSync(path, 'utf8'), /"two"/)
})
