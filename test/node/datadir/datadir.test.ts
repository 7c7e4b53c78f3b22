import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { holderOf, LOCK_FILE, openDataDir } from '../../../node/datadir/datadir.ts'
import { guardDisk } from '../../../node/datadir/disk.ts'

const AT = { role: 'follower', now: 1_700_000_000_000 }

t.test('a directory is made for its owner alone, locked, and released', async (t) => {
  const path = join(t.testdir(), 'new')
  const first = openDataDir(path, AT)
  t.equal(statSync(path).mode & 0o777, 0o700)
  t.equal(first.unclean, null)
  t.match(holderOf(path), { pid: process.pid, role: 'follower' })
  t.throws(() => openDataDir(path, AT), {
    code: 'datadir-locked',
    message: new RegExp(`in use by process ${process.pid} \\(follower, since 2023-`),
  })
  first.close()
  t.equal(existsSync(join(path, LOCK_FILE)), false)
  const second = openDataDir(path, AT)
  t.equal(second.unclean, null, 'a clean shutdown leaves no mark')
  second.close()
})

t.test('the lock of a process that was killed is taken over, and said to be unclean', async (t) => {
  const path = t.testdir()
  const script = `
    const { openDataDir } = await import(${JSON.stringify(join(import.meta.dirname, '../../../node/datadir/datadir.ts'))})
    openDataDir(${JSON.stringify(path)}, { role: 'sequencer', now: 1 })
    console.log('locked')
    setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  await once(child.stdout, 'data')
  t.throws(() => openDataDir(path, AT), { code: 'datadir-locked', message: /sequencer/ })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const after = openDataDir(path, AT)
  t.match(after.unclean, { pid: child.pid, role: 'sequencer' })
  after.close()
})

t.test('a lock whose process id now belongs to somebody else is stale', async (t) => {
  const path = t.testdir()
  const other = { pid: process.ppid, startTicks: 1, since: 1, role: 'follower' }
  writeFileSync(join(path, LOCK_FILE), JSON.stringify(other))
  const opened = openDataDir(path, AT)
  t.match(opened.unclean, other)
  opened.close()
  writeFileSync(join(path, LOCK_FILE), '')
  const emptied = openDataDir(path, AT)
  t.match(emptied.unclean, { role: 'unknown' }, 'as is one that a crash left empty')
  emptied.close()
})

t.test('a place that is no directory is refused with what to do', async (t) => {
  const path = join(t.testdir({ file: '' }), 'file')
  t.throws(() => openDataDir(path, AT), { code: 'datadir-unusable', message: /--data-dir/ })
  chmodSync(path, 0o600)
})

t.test('the guard warns first, stops once below the limit, and never when it is off', async (t) => {
  const MIB = 1024 * 1024
  const run = async (freeMib: number, freeMinMib = 100) => {
    const told: string[] = []
    const log = { ...silentLog, warn: (event: string) => void told.push(event) }
    await new Promise<void>((resolve) => {
      const guard = guardDisk({
        path: '/data',
        freeMinMib,
        log,
        onFull: ({ code }) => told.push(code),
        free: async () => {
          setImmediate(resolve)
          return freeMib * MIB
        },
      })
      t.teardown(() => guard.stop())
      if (freeMinMib === 0) resolve()
    })
    return told
  }
  t.same(await run(500), [])
  t.same(await run(150), ['disk runs full'])
  t.same(await run(99), ['disk-full'])
  t.same(await run(0, 0), [])
})
