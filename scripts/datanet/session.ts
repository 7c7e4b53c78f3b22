/**
 * Work on Datanets from the command line: their contracts, and the folder that keeps what has been committed and
 * not yet revealed. Salt and rows are written there *before* the commitment
 * is sent, so a crash between commit and reveal loses no row.
 *
 *   <state>/<rows root>.jsonl     the row file, or the envelope of private rows
 *   <state>/<rows root>.media/    pictures and sounds that the rows name, by hash
 *   <state>/<rows root>.payload   private rows, encrypted
 *   <state>/<rows root>.json      the contribution; of private rows the key, and who may read
 */
import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { DatanetRegistry, DatanetValidation, Staking } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Contribution } from '../../node/datanet/contribution.ts'
import type { Shard } from '../../node/datanet/shards.ts'
import { type Flags, KEY_FLAGS } from '../cli/person.ts'

export const DATANETS: { address: `0x${string}`; abi: Abi } = {
  address: OPENLEDGER.datanetRegistry,
  abi: DatanetRegistry.abi as Abi,
}
export const VALIDATION: { address: `0x${string}`; abi: Abi } = {
  address: OPENLEDGER.datanetValidation,
  abi: DatanetValidation.abi as Abi,
}
export const STAKING: { address: `0x${string}`; abi: Abi } = {
  address: OPENLEDGER.staking,
  abi: Staking.abi as Abi,
}

export const STATE_FLAGS: Flags = {
  ...KEY_FLAGS,
  state: {
    value: 'DIR',
    help: 'what is committed and not yet revealed',
    fallback: '.openledger/contributions',
  },
}

/** A contribution that waits for its reveal. */
export type Pending = {
  readonly contribution: Contribution
  readonly file: string
  readonly sealed: Sealed | null
}

/** What its contributor alone has of private rows. */
export type Sealed = {
  readonly key: Hex
  /** Compressed public keys, the contributor's first. */
  readonly readers: readonly Hex[]
}

const OWNER_ONLY = 0o600
/** Blocks of one log query: below the node's limit. */
const LOG_RANGE_BLOCKS = 5_000n

/** First and last block of each log query, from the genesis to `head`. */
export function* logRanges(head: bigint): Generator<readonly [bigint, bigint]> {
  for (let from = 0n; from <= head; from += LOG_RANGE_BLOCKS) {
    const last = from + LOG_RANGE_BLOCKS - 1n
    yield [from, last < head ? last : head]
  }
}

export function idOf(text: string | undefined): number {
  const id = Number(text)
  if (Number.isSafeInteger(id) && id > 0) return id
  throw userError('usage', `'${text}' is no Datanet id: a number from 1 on`)
}

/** @throws NodeError `usage` */
export function rowsRootOf(text = ''): Hex {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase() as Hex
  throw userError('usage', `'${text}' is no rows root: 32 bytes of 0x hex`)
}

/** Writes a contribution so that it survives a crash of the next line. */
export async function keepPending(
  state: string,
  contribution: Contribution,
  { bytes, media }: Pick<Shard, 'bytes' | 'media'>,
  sealed?: Sealed & { readonly payload: Uint8Array },
): Promise<void> {
  await mkdir(state, { recursive: true })
  const path = join(state, contribution.rowsRoot)
  if (media.size > 0) await mkdir(mediaOf(`${path}.jsonl`), { recursive: true })
  for (const [hash, file] of media) {
    const kept = join(mediaOf(`${path}.jsonl`), hash)
    await copyFile(file.path, kept, constants.COPYFILE_FICLONE)
  }
  await writeFile(`${path}.jsonl`, bytes, { flush: true })
  if (sealed) await writeFile(payloadOf(`${path}.jsonl`), sealed.payload, { flush: true })
  const kept = sealed && { key: sealed.key, readers: sealed.readers }
  const text = JSON.stringify({ ...contribution, ...(kept ? { sealed: kept } : {}) }, (_, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
  await writeFile(`${path}.tmp`, text, { flush: true, mode: OWNER_ONLY })
  await rename(`${path}.tmp`, `${path}.json`)
}

export async function readPending(state: string, datanetId: bigint): Promise<Pending[]> {
  const names = await readdir(state).catch(() => [] as string[])
  const found: Pending[] = []
  for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
    const { sealed = null, ...value } = JSON.parse(await readFile(join(state, name), 'utf8'))
    const ids = { datanetId: BigInt(value.datanetId), byteCount: BigInt(value.byteCount) }
    if (ids.datanetId !== datanetId) continue
    const file = join(state, name.replace(/json$/, 'jsonl'))
    found.push({ contribution: { ...value, ...ids }, file, sealed })
  }
  return found
}

export async function dropPending(state: string, rowsRoot: string): Promise<void> {
  await rm(join(state, `${rowsRoot}.json`), { force: true })
  await rm(join(state, `${rowsRoot}.jsonl`), { force: true })
  await rm(join(state, `${rowsRoot}.payload`), { force: true })
  await rm(join(state, `${rowsRoot}.media`), { force: true, recursive: true })
}

/** The folder of the pictures and sounds of a row file. */
function mediaOf(file: string): string {
  return file.replace(/jsonl$/, 'media')
}

/** Their paths. */
export async function mediaFilesOf(file: string): Promise<string[]> {
  const names = await readdir(mediaOf(file)).catch(() => [] as string[])
  return names.map((name) => join(mediaOf(file), name))
}

export function payloadOf(file: string): string {
  return file.replace(/jsonl$/, 'payload')
}
