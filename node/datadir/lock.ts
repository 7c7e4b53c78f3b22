/**
 * One process at a time in a data directory. The lock file names its holder by process id *and* start
 * time, since ids are used again: a holder that no longer runs left the lock behind, which is also how
 * the next start knows that the last one ended uncleanly.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { NodeError } from '../base/errors.ts'

export type Holder = {
  readonly pid: number
  /** Clock ticks after boot (Linux); null where it cannot be known. */
  readonly startTicks: number | null
  /** Unix time, milliseconds, of the lock; for people. */
  readonly since: number
  readonly role: string
}

export type Lock = {
  /** The holder that went away without releasing; null after a clean shutdown. */
  readonly stale: Holder | null
  release(): void
}

/** @throws NodeError `datadir-locked` naming the process that has it. */
export function acquireLock(path: string, role: string, since: number): Lock {
  const own: Holder = { pid: process.pid, startTicks: startTicksOf(process.pid), since, role }
  const text = `${JSON.stringify(own)}\n`
  let stale: Holder | null = null
  for (;;) {
    try {
      writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = readHolder(path)
    if (holder !== null && isRunning(holder)) {
      throw new NodeError(
        'datadir-locked',
        'user',
        `${path.replace(/\/[^/]*$/, '')} is in use by process ${holder.pid} (${holder.role}, since ${new Date(holder.since).toISOString()}): stop it or choose another --data-dir`,
        { pid: holder.pid },
      )
    }
    stale = holder ?? { pid: 0, startTicks: null, since: 0, role: 'unknown' }
    // Of two that come at once only one moves the file away; the other meets the new lock.
    const aside = `${path}.stale.${process.pid}`
    try {
      renameSync(path, aside)
      rmSync(aside, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return {
    stale,
    release: () => {
      if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true })
    },
  }
}

/** Null when the file is absent or says nothing of use (a crash can leave it empty). */
export function readHolder(path: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Holder
    return Number.isInteger(holder?.pid) ? holder : null
  } catch {
    return null
  }
}

export function isRunning({ pid, startTicks }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = startTicksOf(pid)
  return startTicks === null || now === null || now === startTicks
}

/** Field 22 of /proc/<pid>/stat; the second field may hold spaces and ends at the last ')'. */
function startTicksOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; only its parent has not looked yet.
    if (fields[0] === 'Z') return -1
    return Number(fields[19])
  } catch {
    return null
  }
}
