/**
 * A version out of everything that is accepted: the contributions of the Datanet in the order of their
 * commitments, and duplicate groups over the rows of *all* Datanets. Anyone can do the same from the chain's
 * logs and content, and compare the hashes.
 */
import type { AbiEvent } from 'viem'
import { type Hex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { NodeError, userError } from '../../node/base/errors.ts'
import { decodeEnvelope, type Envelope, envelopeRoot } from '../../node/datanet/envelope.ts'
import { encodeGroups, GroupIndex, KIND, type Membership } from '../../node/datanet/groups.ts'
import { decodeRows, type Row, rowsRoot as rootOf } from '../../node/datanet/rows.ts'
import { packVersion, type VersionPart } from '../../node/datanet/version.ts'
import type { Person } from '../cli/person.ts'
import { Meter } from '../cli/progress.ts'
import type { Rpc } from '../cli/rpc.ts'
import type { Wallet } from '../devnet/wallet.ts'
import { wrongMedia } from './media.ts'
import { contentOf } from './private.ts'
import { DATANETS, logRanges, VALIDATION } from './session.ts'

type Part = VersionPart & { readonly groups: readonly Membership[] }

type Held = {
  readonly datanetId: bigint
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  readonly order: bigint
  readonly isPrivate: boolean
}

export type Published = {
  readonly version: number
  readonly rowsRoot: Hex
  readonly rowCount: number
  readonly contributions: number
  /** Rows that stand in an earlier row's group. */
  readonly copies: number
  /** Rows roots of contributions, of any Datanet, whose content is not to be had or is another; of this one, also those whose
   * rows name a picture or sound of which that is so: left out. */
  readonly unread: readonly Hex[]
}

/** @param withPrivate private rows too: who trains on such a version needs grants of them */
export async function publishVersion(
  datanetId: number,
  person: Person,
  { withPrivate }: { readonly withPrivate: boolean },
): Promise<Published> {
  const { wallet, rpc } = person
  const id = BigInt(datanetId)
  const asOf = await wallet.reader.getBlockNumber({ cacheTime: 0 })
  const all = await heldContributions(wallet, asOf)
  const meter = new Meter('reading')
  const index = new GroupIndex()
  const own: Part[] = []
  const unread: Hex[] = []
  for (const [i, held] of all.entries()) {
    meter.update(`contribution ${i + 1} of ${all.length}`, i / all.length)
    const isOwn = held.datanetId === id
    if (held.isPrivate && !(isOwn && withPrivate)) continue
    const said = await readHeld(held, rpc)
    if (!said || (isOwn && 'rows' in said && (await hasWrongMedia(said.rows, rpc)))) {
      unread.push(held.rowsRoot)
      continue
    }
    const groups = 'rows' in said ? index.addRows(said.rows) : ungrouped(said.envelope)
    if (!isOwn || !(await isAccepted(wallet, held))) continue
    own.push({ contributor: held.contributor, file: held.contentHash, ...said, groups })
  }
  meter.end()
  if (own.length === 0) {
    throw userError('datanet-empty', `Datanet ${id} has no accepted contribution to publish`)
  }
  return { ...(await publish(id, { asOf, own }, person)), unread }
}

/** null for what nobody shows, or is not what was revealed: one contributor cannot hold up all others. */
async function readHeld(
  { rowsRoot, contentHash, isPrivate }: Held,
  rpc: Rpc,
): Promise<{ readonly rows: readonly Row[] } | { readonly envelope: Envelope } | null> {
  try {
    const content = await contentOf(rpc, contentHash)
    if (isPrivate) {
      const envelope = decodeEnvelope(content)
      return envelopeRoot(envelope) === rowsRoot ? { envelope } : null
    }
    const rows = decodeRows(content)
    return rootOf(rows) === rowsRoot ? { rows } : null
  } catch (error) {
    if (error instanceof NodeError && error.code !== 'rpc-unreachable') return null
    throw error
  }
}

async function hasWrongMedia(rows: readonly Row[], rpc: Rpc): Promise<boolean> {
  for (const { media } of rows) if (media && (await wrongMedia(media, rpc))) return true
  return false
}

async function publish(
  id: bigint,
  { asOf, own }: { asOf: bigint; own: readonly Part[] },
  { wallet, rpc }: Person,
): Promise<Omit<Published, 'unread'>> {
  const groups = own.flatMap((one) => one.groups)
  const { manifest, rowsRoot, rowCount, contributions } = packVersion(own)
  const [manifestHash, groupsHash] = [
    await rpc<Hex>('openledger_putContent', toHex(manifest)),
    await rpc<Hex>('openledger_putContent', toHex(encodeGroups({ asOf, rows: groups }))),
  ]
  const { versionCount } = await wallet.read<{ versionCount: number }>({
    ...DATANETS,
    functionName: 'getDatanet',
    args: [id],
  })
  const parent =
    versionCount === 0
      ? ZERO_HASH
      : (
          await wallet.read<{ rowsRoot: Hex }>({
            ...DATANETS,
            functionName: 'getVersion',
            args: [id, versionCount],
          })
        ).rowsRoot
  const version = { parent, rowsRoot, manifestHash, groupsHash, contributions }
  await wallet.send({ ...DATANETS, functionName: 'publish', args: [id, version] })
  return {
    version: versionCount + 1,
    rowsRoot,
    rowCount,
    contributions: own.length,
    copies: groups.filter(({ kind }) => kind !== KIND.first).length,
  }
}

/** What stands on chain: revealed, still owned under that commitment, not erased; by commitment. */
async function heldContributions({ reader, read }: Wallet, asOf: bigint): Promise<Held[]> {
  const event = DATANETS.abi.find((item) => item.type === 'event' && item.name === 'Revealed')
  const found: Held[] = []
  for (const [fromBlock, toBlock] of logRanges(asOf)) {
    const logs = await reader.getLogs({
      address: DATANETS.address,
      event: event as AbiEvent,
      fromBlock,
      toBlock,
    })
    found.push(...logs.map(({ args }) => args as unknown as Held))
  }
  const held: Held[] = []
  for (const one of found.sort((a, b) => (a.order < b.order ? -1 : 1))) {
    const now = await read<{ commitOrder: bigint; isErased: boolean }>({
      ...DATANETS,
      functionName: 'getContribution',
      args: [one.datanetId, one.rowsRoot],
    })
    if (now.commitOrder !== one.order || now.isErased) continue
    held.push({ ...one, contributor: one.contributor.toLowerCase() as Hex })
  }
  return held
}

/** Nobody can see whom private rows repeat: each is a group by itself. */
function ungrouped({ rowHashes }: Envelope): Membership[] {
  return rowHashes.map((hash) => ({ group: toHex(hash.subarray(0, 16)), kind: KIND.first }))
}

function isAccepted({ read }: Wallet, { datanetId, rowsRoot }: Held): Promise<boolean> {
  return read<boolean>({ ...VALIDATION, functionName: 'isAccepted', args: [datanetId, rowsRoot] })
}
