/**
 * How an older database becomes one of this version: a list of steps, each from one schema to the next. A
 * step's rows and the new schema number are one atomic write, so a crash leaves the old version or the
 * new one. Steps stay in the list for good; a database of any age walks all that it lacks.
 *
 * Checklist for a changed row layout: raise `SCHEMA_VERSION` in `tables.ts`, add a step here, add a test with
 * rows of the old layout to `test/node/store/migrations.test.ts`.
 */
import { utf8 } from '../base/bytes.ts'
import type { Database, WriteOp } from './database.ts'
import { storeError } from './errors.ts'
import { keyIn } from './tables.ts'

export type Migration = {
  readonly from: number
  readonly title: string
  /** What to write; rows are read as they come, written at once at the end. */
  plan(database: Database): AsyncIterable<WriteOp>
}

/** Schema 1 is the first. */
export const MIGRATIONS: readonly Migration[] = [
  {
    from: 1,
    title: 'packed blocks and receipts, a shorter transaction index',
    // Rows of schema 1 tell themselves from the new ones and are read as they are; only what wrote them may
    // no longer write here.
    async *plan() {},
  },
  {
    from: 2,
    title: 'trie nodes by owner, with a stamp',
    // Nodes of schema 2 are found where they are, and never pruned: whose they are is not known.
    async *plan() {},
  },
]

/** Operations of one step held in memory; a step that needs more must be written as several. */
const OPS_MAX = 5_000_000

/** A row of `meta`, for whoever looks before the store is open. */
export function readMeta(database: Database, name: string): Uint8Array | undefined {
  return database.getSync(keyIn('meta', utf8(name)))
}

const SCHEMA_KEY: Uint8Array = keyIn('meta', utf8('schema'))

export type Migrated = { readonly from: number; readonly to: number } | null

/**
 * Brings `database` to schema `wanted`.
 * @throws NodeError `store-schema` when it is newer, or too old for any step
 */
export async function migrate(
  database: Database,
  path: string,
  wanted: number,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<Migrated> {
  const stored = readMeta(database, 'schema')?.[0]
  if (stored === undefined) {
    await database.write([{ type: 'put', key: SCHEMA_KEY, value: Uint8Array.of(wanted) }])
    return null
  }
  if (stored > wanted) {
    throw storeError(
      'store-schema',
      `database ${path} has schema ${stored}, this version knows up to ${wanted}: run the newer version that wrote it, or use another --data-dir`,
    )
  }
  for (let version = stored; version < wanted; version++) {
    const step = migrations.find(({ from }) => from === version)
    if (!step) {
      throw storeError(
        'store-schema',
        `database ${path} has schema ${stored}, this version needs ${wanted} and has no way from ${version}: sync anew in another --data-dir`,
      )
    }
    const ops: WriteOp[] = []
    for await (const op of step.plan(database)) {
      if (ops.push(op) > OPS_MAX)
        throw storeError('store-schema', `migration '${step.title}' is too large`)
    }
    ops.push({ type: 'put', key: SCHEMA_KEY, value: Uint8Array.of(version + 1) })
    await database.write(ops)
  }
  return stored === wanted ? null : { from: stored, to: wanted }
}
