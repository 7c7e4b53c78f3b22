/** The data directory: rights, lock, unclean end, free disk, schema, whose chain it holds. */
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ChainConfig } from '../../genesis/chain.ts'
import { bytesToBigint, toHex } from '../../node/base/bytes.ts'
import { messageOf } from '../../node/base/errors.ts'
import { holderOf, LOCK_FILE } from '../../node/datadir/datadir.ts'
import { freeBytes } from '../../node/datadir/disk.ts'
import { readHolder } from '../../node/datadir/lock.ts'
import { assertPrivate } from '../../node/keys/files.ts'
import type { NodeOptions } from '../../node/options.ts'
import { Database } from '../../node/store/database.ts'
import { readMeta } from '../../node/store/migrations.ts'
import { SCHEMA_VERSION } from '../../node/store/tables.ts'
import { type Finding, ok, warn, wrong } from './examine.ts'

const GIB = 1024 ** 3
const DISK_COMFORT_BYTES: number = 20 * GIB
const SECRET_FILES = ['jwt.hex', 'p2p-key', 'config.json']

export async function examineStorage(
  options: NodeOptions,
  config: ChainConfig | null,
): Promise<Finding[]> {
  const dataDir = resolve(options.dataDir)
  const there = nearestExisting(dataDir)
  return [
    rights(dataDir, there),
    ...secretFiles(dataDir),
    await disk(there, options.diskFreeMinMib),
    await database(dataDir, config),
  ]
}

/** The folder itself, or the first above it that is there. */
function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path))
}

function rights(dataDir: string, there: string): Finding {
  try {
    accessSync(there, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const remedy = `give it to the user that runs the node: chown -R USER ${there}`
    return wrong('data-dir', `cannot write ${there}: ${messageOf(error)}`, remedy)
  }
  if (there !== dataDir) return ok('data-dir', `${dataDir} will be made`)
  const running = holderOf(dataDir)
  if (running) return ok('data-dir', `in use by process ${running.pid} (${running.role})`)
  const left = readHolder(join(dataDir, LOCK_FILE))
  if (!left) return ok('data-dir', dataDir)
  return warn(
    'data-dir',
    `the last run (${left.role}, process ${left.pid}) did not shut down cleanly`,
    "nothing has to be done; 'openledger db verify' checks everything if you want to be sure",
  )
}

function secretFiles(dataDir: string): Finding[] {
  return SECRET_FILES.map((name) => join(dataDir, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => {
      try {
        assertPrivate(path, 'file')
        return []
      } catch (error) {
        return [wrong('permissions', messageOf(error), `chmod 600 ${path}`)]
      }
    })
}

async function disk(there: string, leastMib: number): Promise<Finding> {
  const free = await freeBytes(there)
  const shown = `${(free / GIB).toFixed(1)} GiB free at ${there}`
  const remedy = 'make room, or put --data-dir on a larger disk'
  if (free < leastMib * 1024 * 1024) {
    return wrong('disk', `${shown}; the node stops below ${leastMib} MiB`, remedy)
  }
  return free < DISK_COMFORT_BYTES ? warn('disk', shown, remedy) : ok('disk', shown)
}

async function database(dataDir: string, config: ChainConfig | null): Promise<Finding> {
  const path = join(dataDir, 'db')
  if (!existsSync(path)) return ok('database', 'none yet; the node makes it')
  if (holderOf(dataDir)) return ok('database', 'not looked at: the node is running')
  let opened: Database
  try {
    opened = await Database.open(path)
  } catch (error) {
    const remedy = 'restore a snapshot, or move db/ away and sync anew'
    return wrong('database', messageOf(error), remedy)
  }
  try {
    const schema = readMeta(opened, 'schema')?.[0] ?? SCHEMA_VERSION
    const genesis = readMeta(opened, 'genesis')
    const head = readMeta(opened, 'unsafe')
    if (schema > SCHEMA_VERSION) {
      const remedy = 'run the newer version that wrote it, or use another --data-dir'
      return wrong('database', `schema ${schema}, this version knows ${SCHEMA_VERSION}`, remedy)
    }
    const wanted = config?.genesis.l2.hash
    if (genesis && wanted && BigInt(wanted) !== 0n && bytesToBigint(genesis) !== BigInt(wanted)) {
      return wrong(
        'database',
        `it holds another chain: genesis ${toHex(genesis)}, configured ${wanted}`,
        'use the rollup.json of that chain, or another --data-dir',
      )
    }
    const migrates = schema < SCHEMA_VERSION ? `, will be migrated to ${SCHEMA_VERSION}` : ''
    return ok('database', `schema ${schema}${migrates}${head ? ', has a head' : ', empty'}`)
  } finally {
    await opened.close()
  }
}
