/**
 * A file into a Datanet: shards become commitments, and once these stand in a block, rows are shown and revealed.
 *
 *   file -> shards, kept in the state folder -> commit -> next block -> content to the node -> reveal, forget
 */
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { type Contribution, commitmentOf } from '../../node/datanet/contribution.ts'
import { FORMATS, type Format, formatOf } from '../../node/datanet/read-rows.ts'
import { decodeSchema } from '../../node/datanet/schema.ts'
import { type ShardSummary, shardsOf } from '../../node/datanet/shards.ts'
import type { Call } from '../cli/command.ts'
import { Meter } from '../cli/progress.ts'
import type { Rpc } from '../cli/rpc.ts'
import { until } from '../devnet/economy.ts'
import type { Wallet } from '../devnet/wallet.ts'
import { DATANETS, dropPending, keepPending, readPending } from './session.ts'

const COMMITS_PER_CALL = 64

type Modules = { readonly wallet: Wallet; readonly rpc: Rpc; readonly state: string }

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
  },
  { wallet, rpc, state }: Modules,
): Promise<ShardSummary & { contributions: Hex[] }> {
  const { path, datanetId } = input
  const datanet = await rpc<DatanetView | null>('openledger_getDatanet', datanetId)
  if (!datanet) throw userError('datanet-unknown', `there is no Datanet ${datanetId}`)
  const { size } = await stat(path).catch(() => {
    throw userError('usage', `cannot read ${path}`)
  })
  const meter = new Meter('reading')
  const textColumn = call.flags['text-column']
  const shards = shardsOf(path, {
    format: formatFrom(call.flags.format, path),
    schema: decodeSchema(datanet.schema),
    ...datanet.limits,
    ...(textColumn ? { textColumn } : {}),
    onBytes: (count) => meter.update(`${(count / 2 ** 20).toFixed(0)} MiB`, count / size),
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
    const { bytes, rowsRoot, contentHash, rowCount } = next.value
    const contribution: Contribution = {
      datanetId: BigInt(datanetId),
      contributor: wallet.address,
      rowsRoot,
      contentHash,
      rowCount,
      byteCount: BigInt(bytes.length),
      isPrivate: false,
      salt: toHex(randomBytes(32)),
    }
    await keepPending(state, contribution, bytes)
    contributions.push(rowsRoot)
    waiting.push(commitmentOf(contribution))
  }
}

/** Reveals what waits in the state folder. @returns rows roots */
export async function revealPending(
  datanetId: number,
  { wallet, rpc, state }: Modules,
  send: (contribution: Contribution) => Promise<void>,
): Promise<Hex[]> {
  const pending = await readPending(state, BigInt(datanetId))
  const meter = new Meter('revealing')
  const revealed: Hex[] = []
  for (const [i, { contribution, file }] of pending.entries()) {
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
    await rpc('openledger_putContent', toHex(await readFile(file)))
    await send(contribution)
    await dropPending(state, contribution.rowsRoot)
    revealed.push(contribution.rowsRoot)
    meter.update(`${i + 1} of ${pending.length}`, (i + 1) / pending.length)
  }
  meter.end(`${revealed.length} contributions`)
  return revealed
}

function formatFrom(text: string | undefined, path: string): Format {
  if (text === undefined) return formatOf(path)
  const format = FORMATS.find((known) => known === text)
  if (format) return format
  throw userError('usage', `--format is '${text}'; known: ${FORMATS.join(', ')}`)
}
