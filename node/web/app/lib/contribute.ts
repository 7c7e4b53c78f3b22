/**
 * Rows into a Datanet: committed, and once the commitment stands in a block, shown and revealed. Salt and rows are kept in this
 * browser before the commitment is sent, so that a reload in between loses nothing: it goes on where it was.
 *
 *   shards -> kept -> commit -> next block -> content to the node -> reveal -> forgotten
 */
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { type Contribution, commitmentOf } from '../../../datanet/contribution.ts'
import { toHex } from './bytes.ts'
import type { MediaFile, Shard } from './read-file.ts'
import { call } from './rpc.ts'
import type { Hex } from './types.ts'

export type Pending = {
  readonly contribution: Contribution
  readonly bytes: Uint8Array
  readonly media: readonly MediaFile[]
}

const COMMITS_PER_CALL = 64
const STORE = 'contributions'
const BLOCK_WAIT_MS = 500

/** Rows roots of one chain never meet those of another devnet: a commitment that the chain lacks is sent anew. */
async function database(): Promise<IDBDatabase> {
  const request = indexedDB.open('openledger', 1)
  request.onupgradeneeded = () => request.result.createObjectStore(STORE)
  return settled(request)
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

async function stored<T>(
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const db = await database()
  try {
    return await settled(use(db.transaction(STORE, mode).objectStore(STORE)))
  } finally {
    db.close()
  }
}

/** What waits here for its commitment or its reveal. */
export async function pendingOf(datanetId: bigint, contributor: Hex): Promise<Pending[]> {
  const all = await stored<Pending[]>('readonly', (store) => store.getAll())
  return all.filter(
    ({ contribution: one }) => one.datanetId === datanetId && one.contributor === contributor,
  )
}

export async function forget({ contribution }: Pending): Promise<void> {
  await stored('readwrite', (store) => store.delete(contribution.rowsRoot))
}

/** Keeps the shards; `goOn` sends them. */
export async function keep(
  shards: readonly Shard[],
  { datanetId, contributor }: { datanetId: bigint; contributor: Hex },
): Promise<void> {
  for (const { bytes, rowsRoot, contentHash, rowCount, media } of shards) {
    const contribution: Contribution = {
      datanetId,
      contributor,
      rowsRoot,
      contentHash,
      rowCount,
      byteCount: BigInt(bytes.length + mediaBytes(media)),
      isPrivate: false,
      salt: toHex(crypto.getRandomValues(new Uint8Array(32))),
    }
    await stored('readwrite', (store) => store.put({ contribution, bytes, media }, rowsRoot))
  }
}

/** The same picture named twice counts once. */
function mediaBytes(media: readonly MediaFile[]): number {
  const sizes = new Map(media.map((one) => [one.media.hash, one.media.bytes]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

async function upload({ media, file }: MediaFile): Promise<void> {
  const headers = { 'content-type': media.type }
  const response = await fetch('/media', { method: 'POST', headers, body: file })
  if (response.ok) return
  const { error } = (await response.json().catch(() => ({}))) as { error?: string }
  throw new Error(`The node does not take a picture or sound: ${error ?? response.status}`)
}

/** Commits what is not committed, reveals what is. How many were revealed. */
export async function goOn(
  datanetId: bigint,
  contributor: Hex,
  tell: (text: string) => void,
): Promise<number> {
  const [{ DatanetRegistry }, { readContract, waitFor, writeContract }] = await Promise.all([
    import('../../../../genesis/contracts.generated.ts'),
    import('../wallet/send.ts'),
  ])
  const registry = { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi }
  const committedIn = async ({ contribution }: Pending): Promise<bigint> => {
    const args = [datanetId, commitmentOf(contribution)]
    return (
      await readContract<readonly [bigint, bigint]>({
        ...registry,
        functionName: 'commitmentOf',
        args,
      })
    )[0]
  }
  const pending = await pendingOf(datanetId, contributor)
  const blocks = await Promise.all(pending.map(committedIn))
  const fresh = pending.filter((_, i) => blocks[i] === 0n)
  for (let i = 0; i < fresh.length; i += COMMITS_PER_CALL) {
    tell('Committing: sign in the wallet…')
    const commitments = fresh
      .slice(i, i + COMMITS_PER_CALL)
      .map(({ contribution }) => commitmentOf(contribution))
    await waitFor(
      await writeContract({ ...registry, functionName: 'commit', args: [datanetId, commitments] }),
    )
  }
  for (const [i, one] of pending.entries()) {
    tell(`Revealing ${i + 1} of ${pending.length}…`)
    const block = await committedIn(one)
    while (BigInt(await call<Hex>('eth_blockNumber')) <= block)
      await new Promise((resolve) => setTimeout(resolve, BLOCK_WAIT_MS))
    for (const each of one.media) await upload(each)
    await call('openledger_putContent', toHex(one.bytes))
    await waitFor(
      await writeContract({ ...registry, functionName: 'reveal', args: [one.contribution] }),
    )
    await forget(one)
  }
  return pending.length
}
