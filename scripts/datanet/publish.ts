/**
 * A version out of everything that is accepted: the contributions of the Datanet in the order of their
 * commitments, and duplicate groups over the rows of *all* Datanets. Anyone can do the same from the chain's
 * logs and content, and compare the hashes.
 */
import type { AbiEvent } from 'viem'
import { type Hex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { decodeEnvelope, type Envelope, envelopeRoot } from '../../node/datanet/envelope.ts'
import { encodeGroups, GroupIndex, KIND, type Membership } from '../../node/datanet/groups.ts'
import type { Judged } from '../../node/datanet/judge.ts'
import { decodeRows, type Row, rowsRoot as rootOf } from '../../node/datanet/rows.ts'
import { packVersion, type VersionPart } from '../../node/datanet/version.ts'
import type { Person } from '../cli/person.ts'
import { Meter } from '../cli/progress.ts'
import type { Rpc } from '../cli/rpc.ts'
import type { Wallet } from '../devnet/wallet.ts'
import { judged } from './judged.ts'
import { judgeMedia } from './media.ts'
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
  /** Left out: contributions, of any Datanet, whose content nobody shows now or is wrong; of this one, also those whose rows
   * name a picture or sound of which that is so. */
  readonly unread: readonly LeftOut[]
}

export type LeftOut = {
  readonly rowsRoot: Hex
  /** unavailable: it may be in the next version. */
  readonly kind: 'wrong' | 'unavailable'
  readonly why: string
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
  const unread: LeftOut[] = []
  for (const [i, held] of all.entries()) {
    meter.update(`contribution ${i + 1} of ${all.length}`, i / all.length)
    const isOwn = held.datanetId === id
    if (held.isPrivate && !(isOwn && withPrivate)) continue
    const found = await readHeld(held, rpc, { withMedia: isOwn })
    if (found.kind !== 'right') {
      unread.push({ rowsRoot: held.rowsRoot, kind: found.kind, why: found.why })
      continue
    }
    const said = found.value
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

type Read = { readonly rows: readonly Row[] } | { readonly envelope: Envelope }

/** One contributor's content that nobody shows, or that is wrong, holds up no other. @throws NodeError as `judged` */
async function readHeld(
  { rowsRoot, contentHash, isPrivate }: Held,
  rpc: Rpc,
  { withMedia }: { withMedia: boolean },
): Promise<Judged<Read>> {
  const found = await judged(async (): Promise<Read> => {
    const content = await contentOf(rpc, contentHash)
    return isPrivate ? { envelope: decodeEnvelope(content) } : { rows: decodeRows(content) }
  })
  if (found.kind !== 'right') return found
  const { value } = found
  const root = 'rows' in value ? rootOf(value.rows) : envelopeRoot(value.envelope)
  if (root !== rowsRoot) return { kind: 'wrong', why: `its content holds the rows ${root}` }
  if ('rows' in value && withMedia)
    for (const { media } of value.rows) {
      const looked = media ? await judgeMedia(media, rpc) : null
      if (media && looked && looked.kind !== 'right')
        return { kind: looked.kind, why: `media ${media.hash} ${looked.why}` }
    }
  return found
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
