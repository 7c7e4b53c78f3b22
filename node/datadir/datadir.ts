/**
 * The data directory of one node:
 *
 *   openledger.lock   who is in it (lock.ts)          config.json   options (`openledger init`)
 *   db/               the database                    rollup.json   the chain configuration
 *   content/ blobs/   bytes by hash                   keystore/     encrypted keys
 *   p2p-key           who we are to peers             jwt.hex       secret of the admin server
 *
 * Its version is the database's schema (`node/store/migrations.ts`): it changes in the same atomic
 * write as the rows, which a file beside the database could not.
 */
import { accessSync, constants, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf, NodeError } from '../base/errors.ts'
import { acquireLock, type Holder, isRunning, readHolder } from './lock.ts'

export const LOCK_FILE = 'openledger.lock'
/** Only the owner: keys are below it. */
const FOLDER_MODE = 0o700

export type DataDir = {
  readonly path: string
  /** Who was here last and did not shut down cleanly; null when all was well. */
  readonly unclean: Holder | null
  /** The mark of a clean shutdown: call it last. */
  close(): void
}

/** Makes the folder when it is not there and locks it. @throws NodeError `datadir-locked`,
 * `datadir-unusable` */
export function openDataDir(path: string, options: { role: string; now: number }): DataDir {
  const absolute = resolve(path)
  try {
    mkdirSync(absolute, { recursive: true, mode: FOLDER_MODE })
    accessSync(absolute, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new NodeError(
      'datadir-unusable',
      'user',
      `cannot use the data directory ${absolute}: ${messageOf(error)}; give its owner the right to write, or choose another --data-dir`,
    )
  }
  const lock = acquireLock(join(absolute, LOCK_FILE), options.role, options.now)
  return { path: absolute, unclean: lock.stale, close: lock.release }
}

/** Who is in it now; null when nobody is. */
export function holderOf(path: string): Holder | null {
  const holder = readHolder(join(path, LOCK_FILE))
  return holder && isRunning(holder) ? holder : null
}
