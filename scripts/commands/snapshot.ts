/** `openledger snapshot`: the database at a block as files; made, checked, and made a database again. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Hex } from '../../node/base/bytes.ts'
import { describeStore } from '../../node/chain/describe.ts'
import { openDataDir } from '../../node/datadir/datadir.ts'
import {
  createSnapshot,
  type SnapshotManifest,
  snapshotError,
  unpackSnapshot,
} from '../../node/store/snapshot.ts'
import { Store } from '../../node/store/store.ts'
import type { Command } from '../cli/command.ts'
import { auditHead, headOf, withStore } from '../cli/database.ts'
import { EXIT } from '../cli/exit.ts'
import { Meter } from '../cli/progress.ts'

const snapshotCreate: Command = {
  name: 'snapshot create',
  summary: 'Copies the database as of its head into a new folder; the node must be stopped',
  args: '<dir>',
  flags: { json: { help: 'the manifest, as JSON' } },
  options: ['node'],
  notes: 'A running node makes one by admin_createSnapshot.',
  run: async ({ args, configure, switches }) => {
    const folder = resolve(args[0] as string)
    const manifest = await withStore(configure().options.dataDir, 'snapshot create', (store) => {
      const meter = new Meter('copying')
      return createSnapshot(
        store.database,
        folder,
        (meta) => describeStore(store, meta),
        (rows) => meter.update(`${rows} rows`),
      ).finally(() => meter.end())
    })
    tell(manifest, folder, switches.has('json'))
    return EXIT.ok
  },
}

const snapshotVerify: Command = {
  name: 'snapshot verify',
  summary: 'Checks the hash of every part and that the state of the head is complete',
  args: '<dir>',
  flags: {
    json: { help: 'the manifest, as JSON' },
    tmp: { value: 'DIR', help: "where the check's database goes meanwhile", fallback: tmpdir() },
  },
  notes: 'The status is 3 when the snapshot is not good.',
  run: async ({ args, flags, switches }) => {
    const folder = resolve(args[0] as string)
    const scratch = await mkdtemp(join(flags.tmp ?? tmpdir(), 'openledger-verify-'))
    try {
      tell(await unpackAndCheck(folder, join(scratch, 'db')), folder, switches.has('json'))
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
    return EXIT.ok
  },
}

const snapshotRestore: Command = {
  name: 'snapshot restore',
  summary: 'Checks a snapshot and makes it the database of an empty data directory',
  args: '<dir>',
  flags: { json: { help: 'the manifest, as JSON' } },
  options: ['node'],
  run: async ({ args, configure, switches }) => {
    const folder = resolve(args[0] as string)
    const { dataDir } = configure().options
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const lock = openDataDir(dataDir, { role: 'snapshot restore', now: Date.now() })
    const [target, draft] = [join(lock.path, 'db'), join(lock.path, 'db.restoring')]
    try {
      if (existsSync(target)) {
        throw snapshotError('snapshot-exists', `${target} is there already: move it away first`)
      }
      await rm(draft, { recursive: true, force: true })
      const manifest = await unpackAndCheck(folder, draft)
      await rename(draft, target)
      tell(manifest, folder, switches.has('json'))
    } finally {
      await rm(draft, { recursive: true, force: true })
      lock.close()
    }
    return EXIT.ok
  },
}

/** @throws NodeError `snapshot-invalid` */
async function unpackAndCheck(folder: string, path: string): Promise<SnapshotManifest> {
  const unpacking = new Meter('unpacking')
  const manifest = await unpackSnapshot(folder, path, (rows, part) =>
    unpacking.update(`${rows} rows`, part),
  ).finally(() => unpacking.end())
  const store = await Store.open(path)
  try {
    const { block } = headOf(store)
    const said = (manifest.about.head as { hash?: Hex; stateRoot?: Hex } | undefined) ?? {}
    if (said.hash !== block.hash || said.stateRoot !== block.header.stateRoot) {
      throw snapshotError(
        'snapshot-invalid',
        `the snapshot ${folder} is not good: its head is ${block.hash}, the manifest says ${said.hash}`,
      )
    }
    const meter = new Meter('state')
    const { problems, ...counts } = await auditHead(store, meter)
    meter.end(`${counts.accounts} accounts, ${counts.slots} slots, ${counts.nodes} nodes`)
    if (problems.length) {
      throw snapshotError('snapshot-invalid', `the snapshot ${folder} is not good: ${problems[0]}`)
    }
    return manifest
  } finally {
    await store.close()
  }
}

function tell(manifest: SnapshotManifest, folder: string, asJson: boolean): void {
  if (asJson) process.stdout.write(`${JSON.stringify(manifest)}\n`)
  else {
    const { number, stateRoot } = manifest.about.head as { number: number; stateRoot: Hex }
    process.stdout.write(
      `${folder}: block ${number}, state root ${stateRoot}, ${manifest.rows} rows in ${manifest.parts.length} parts: good\n`,
    )
  }
}

export const snapshotCommands: readonly Command[] = [
  snapshotCreate,
  snapshotVerify,
  snapshotRestore,
]
