/**
 * Stops the node while there is still room to do it in good order: a database that meets a full disk in
 * the middle of its own housekeeping has a harder time of it than one that was closed.
 */
import { statfs } from 'node:fs/promises'
import { messageOf, type NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { diskFullError } from '../store/errors.ts'

const MIB = 1024 * 1024
const CHECK_MS = 10_000
/** Warn at this many times the limit. */
const WARN_FACTOR = 2

/** Bytes an ordinary process may still write. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

export type DiskGuard = { stop(): void }

export function guardDisk(options: {
  readonly path: string
  /** 0: never stop. */
  readonly freeMinMib: number
  readonly log: Log
  onFull(error: NodeError): void
  /** Injected by tests. */
  free?(path: string): Promise<number>
  checkMs?: number
}): DiskGuard {
  const { path, freeMinMib, log, onFull, free = freeBytes, checkMs = CHECK_MS } = options
  let isWarned = false
  const look = async (): Promise<void> => {
    const mib = Math.floor((await free(path)) / MIB)
    if (mib < freeMinMib) {
      clearInterval(timer)
      onFull(diskFullError(path, `${mib} MiB are left, --disk-free-min-mib is ${freeMinMib}`))
    } else if (mib < freeMinMib * WARN_FACTOR && !isWarned) {
      isWarned = true
      log.warn('disk runs full', { path, freeMib: mib, stopsAtMib: freeMinMib })
    } else if (mib >= freeMinMib * WARN_FACTOR) isWarned = false
  }
  const turn = (): void => {
    look().catch((error) => log.warn('disk not checked', { path, error: messageOf(error) }))
  }
  const timer = setInterval(turn, checkMs)
  timer.unref()
  if (freeMinMib > 0) turn()
  else clearInterval(timer)
  return { stop: () => clearInterval(timer) }
}
