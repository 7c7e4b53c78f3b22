/**
 * A file into a Datanet: shards become commitments, and once these stand in a block, rows are shown and revealed.
 *
 *   file -> shards, kept in the state folder -> commit -> next block -> content to the node -> reveal, forget
 *            \-> private: encrypted before they are committed; granted to their readers after the reveal
 */
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { type Contribution, commitmentOf } from '../../node/datanet/contribution.ts'
import { KEY_BYTES, sealRows } from '../../node/datanet/private.ts'
import { FORMATS, formatOf } from '../../node/datanet/read-rows.ts'
import { decodeRows } from '../../node/datanet/rows.ts'
import { decodeSchema } from '../../node/datanet/schema.ts'
import { type ShardSummary, shardsOf } from '../../node/datanet/shards.ts'
import type { Call } from '../cli/command.ts'
import { choice } from '../cli/flags.ts'
import type { Person } from '../cli/person.ts'
import { Meter } from '../cli/progress.ts'
import { until } from '../devnet/economy.ts'
import type { Wallet } from '../devnet/wallet.ts'
import { uploadMedia } from './media.ts'
import { grant, type Reader, random, readerFrom } from './private.ts'
import {
  DATANETS,
  dropPending,
  keepPending,
  mediaFilesOf,
  payloadOf,
  readPending,
} from './session.ts'

const COMMITS_PER_CALL = 64
/** With their salts they must fit into one upload, as their hashes must. */
const PRIVATE_ROWS_MAX = 20_000

type Modules = Person & { readonly state: string }

type DatanetView = {
  readonly schema: string
  readonly limits: { readonly rowsMax: number; readonly rowBytesMax: number }
}

/** Commits every good row of a file. Faults are in the summary; they keep no other row out. */
export async function commitFile(
  call: Call,
  input: {
    readonly path: string
    readonly datanetId: number
    readonly sender: (of: Hex[]) => Promise<void>
    /** Who may read private rows beside their contributor; null: the rows are public. */
    readonly readers: readonly Reader[] | null
  },
  { wallet, rpc, state, key: own }: Modules,
): Promise<ShardSummary & { contributions: Hex[] }> {
  const { path, datanetId, readers } = input
  const me = readerFrom(secp256k1.getPublicKey(own, true))
  const datanet = await rpc<DatanetView | null>('openledger_getDatanet', datanetId)
  if (!datanet) throw userError('datanet-unknown', `there is no Datanet ${datanetId}`)
  const found = await stat(path).catch(() => {
    throw userError('usage', `cannot read ${path}`)
  })
  const meter = new Meter('reading')
  const { 'text-column': textColumn, 'media-column': mediaColumn } = call.flags
  const shards = shardsOf(path, {
    format: found.isDirectory()
      ? 'folder'
      : call.flags.format
        ? choice(call.flags, 'format', FORMATS)
        : formatOf(path),
    schema: decodeSchema(datanet.schema),
    isPrivate: readers !== null,
    ...datanet.limits,
    ...(readers ? { rowsMax: Math.min(datanet.limits.rowsMax, PRIVATE_ROWS_MAX) } : {}),
    ...(textColumn ? { textColumn } : {}),
    ...(mediaColumn ? { mediaColumn } : {}),
    onBytes: (count) => meter.update(`${(count / 2 ** 20).toFixed(0)} MiB`, count / found.size),
  })
  const contributions: Hex[] = []
  let waiting: Hex[] = []
  for (;;) {
    const next = await shards.next()
    if (waiting.length === COMMITS_PER_CALL || (next.done && waiting.length > 0)) {
      await input.sender(waiting)
      waiting = []
    }
    if (next.done) {
      meter.end(`${next.value.rows} rows, ${contributions.length} contributions committed`)
      return { ...next.value, contributions }
    }
    const { bytes, rowCount, media } = next.value
    const mediaBytes = [...media.values()].reduce((sum, one) => sum + one.bytes, 0)
    const key = random(KEY_BYTES)
    const sealed = readers && sealRows(decodeRows(bytes), { key, random })
    const { rowsRoot, contentHash } = sealed ?? next.value
    const contribution: Contribution = {
      datanetId: BigInt(datanetId),
      contributor: wallet.address,
      rowsRoot,
      contentHash,
      rowCount,
      byteCount: BigInt(bytes.length + mediaBytes),
      isPrivate: sealed !== null,
      salt: toHex(randomBytes(32)),
    }
    if (sealed) {
      const keys = [me, ...readers].map((reader) => toHex(reader.key))
      const kept = { key: toHex(key), readers: [...new Set(keys)], payload: sealed.payload }
      await keepPending(state, contribution, { bytes: sealed.envelope, media }, kept)
    } else await keepPending(state, contribution, next.value)
    contributions.push(rowsRoot)
    waiting.push(commitmentOf(contribution))
  }
}

/** Reveals what waits in the state folder. @returns rows roots */
export async function revealPending(
  datanetId: number,
  modules: Modules,
  send: (contribution: Contribution) => Promise<void>,
): Promise<Hex[]> {
  const { wallet, rpc, url, state } = modules
  const pending = await readPending(state, BigInt(datanetId))
  const meter = new Meter('revealing')
  const revealed: Hex[] = []
  for (const [i, { contribution, file, sealed }] of pending.entries()) {
    const args = [BigInt(datanetId), commitmentOf(contribution)]
    const [block] = await wallet.read<readonly [bigint]>({
      ...DATANETS,
      functionName: 'commitmentOf',
      args,
    })
    if (block === 0n) {
      throw userError(
        'not-committed',
        `the rows ${contribution.rowsRoot} are not committed: contribute the file again`,
      )
    }
    await until('the block after the commitment', async () => {
      return (await wallet.reader.getBlockNumber({ cacheTime: 0 })) > block
    })
    for (const path of await mediaFilesOf(file)) await uploadMedia(path, url)
    await rpc('openledger_putContent', toHex(await readFile(file)))
    if (sealed) await rpc('openledger_putContent', toHex(await readFile(payloadOf(file))))
    if (!(await isRevealed(contribution, wallet))) await send(contribution)
    const place = { datanetId: contribution.datanetId, rowsRoot: contribution.rowsRoot }
    for (const reader of (sealed?.readers ?? []).map((one) => readerFrom(fromHex(one))))
      await grant(fromHex(sealed?.key as Hex), { reader, place }, modules)
    await dropPending(state, contribution.rowsRoot)
    revealed.push(contribution.rowsRoot)
    meter.update(`${i + 1} of ${pending.length}`, (i + 1) / pending.length)
  }
  meter.end(`${revealed.length} contributions`)
  return revealed
}

/** By an earlier run that did not come to the end. */
async function isRevealed(
  { datanetId, rowsRoot, contributor }: Contribution,
  { read }: Wallet,
): Promise<boolean> {
  const call = { ...DATANETS, functionName: 'getContribution', args: [datanetId, rowsRoot] }
  return (
    (await read<{ contributor: Hex }>(call)).contributor.toLowerCase() === contributor.toLowerCase()
  )
}
