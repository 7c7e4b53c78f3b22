/** A disk that really fills: a small tmpfs in a mount namespace of its own. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const child = join(import.meta.dirname, 'disk-child.ts')

/** Runs a script where a tmpfs of 6 MiB is mounted on `dir`; null where the system allows no namespaces. */
function onSmallDisk(dir: string, script: string): string[] | null {
  const probe = spawnSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'tmpfs', dir])
  if (probe.status !== 0) return null
  const mount = `mount -t tmpfs -o size=6m tmpfs ${dir}`
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    ['-Urm', 'sh', '-ec', `${mount}\n${script}`],
    { encoding: 'utf8', env: { ...process.env, NODE: process.execPath } },
  )
  if (status !== 0) throw new Error(stderr)
  return stdout.trim().split('\n')
}

t.test(
  'a full disk stops writes with a message, loses nothing, and goes on when there is room',
  async (t) => {
    const dir = t.testdir()
    const lines = onSmallDisk(
      dir,
      `out=$("$NODE" ${child} ${dir}/db fill)
     echo "$out"
     last=$(echo "$out" | grep -c '"number"')
     mount -o remount,size=64m ${dir}
     "$NODE" ${child} ${dir}/db check $((last - 1))`,
    )
    if (!lines) {
      t.pass('a disk that fills', { skip: 'this system allows no mount namespaces' })
      return
    }
    const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const written = said.filter(({ number }) => number !== undefined).length
    t.ok(written > 10, `${written} rows of 64 KiB were told before the disk was full`)
    t.match(
      said.find(({ told }) => told),
      { told: 'disk-full' },
      'the node hears of it once',
    )
    t.match(
      said.find(({ code }) => code),
      { code: 'disk-full', message: /free some space and start again/, again: 'disk-full' },
      'and every later write fails the same way',
    )
    t.match(said.at(-1), { missing: 0, wrote: true })
  },
)
