/** The database of a data directory, for commands that work on it while no node does. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type AuditProgress, auditState, type StateAudit } from '../../node/chain/audit.ts'
import { decodeEthereumBlock } from '../../node/chain/block.ts'
import { type Heads, readHeads } from '../../node/chain/heads.ts'
import type { EthereumBlock } from '../../node/chain/types.ts'
import { openDataDir } from '../../node/datadir/datadir.ts'
import { storeError } from '../../node/store/errors.ts'
import { Store } from '../../node/store/store.ts'
import type { Meter } from './progress.ts'

/** Locked while `work` runs. @throws NodeError `datadir-*`, `store-*` */
export async function withStore<T>(
  dataDir: string,
  command: string,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const path = join(dataDir, 'db')
  if (!existsSync(path)) {
    throw storeError('store-open-failed', `there is no database at ${path}: look at --data-dir`)
  }
  const lock = openDataDir(dataDir, { role: command, now: Date.now() })
  try {
    const store = await Store.open(path)
    try {
      return await work(store)
    } finally {
      await store.close()
    }
  } finally {
    lock.close()
  }
}

/** @throws NodeError `store-damaged` when there is no head or its block is not there */
export function headOf(store: Store): { heads: Heads; block: EthereumBlock } {
  const heads = readHeads(store)
  const bytes = heads && store.block(heads.unsafe.hash)
  if (!heads || !bytes) throw storeError('store-damaged', 'the database has no head block')
  return { heads, block: decodeEthereumBlock(bytes) }
}

/** The state of the head, with progress. */
export function auditHead(store: Store, meter: Meter): Promise<StateAudit> {
  return auditState(store, headOf(store).block.header.stateRoot, shownOn(meter))
}

/** Shows progress and lets the event loop turn (signals, the terminal). */
export function shownOn(meter: Meter): AuditProgress {
  let steps = 0
  return async (part, note) => {
    meter.update(note, part)
    if (++steps % 256 === 0) await turn()
  }
}
