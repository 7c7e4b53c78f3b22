/** Datanets as pages show them, rows read and checked here, and versions made here. */
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { userError } from '../../../base/errors.ts'
import { encodeGroups, GroupIndex, KIND, type Membership } from '../../../datanet/groups.ts'
import type { Judged } from '../../../datanet/judge.ts'
import { mediaFault } from '../../../datanet/media.ts'
import { decodeRows, FILE_BYTES_MAX, type Row, rowsRoot as rootOf } from '../../../datanet/rows.ts'
import { decodeVersionManifest, packVersion, type VersionPart } from '../../../datanet/version.ts'
import { concatBytes, fromHex, keccakHex, toHex, ZERO_HASH } from './bytes.ts'
import { judged } from './judged.ts'
import { allLogs, word } from './logs.ts'
import { call } from './rpc.ts'
import type { Hex } from './types.ts'

export type DatanetView = {
  readonly id: string
  readonly owner: Hex
  readonly treasury: Hex
  readonly name: string
  readonly schema: string
  readonly budget: string
  readonly versionCount: number
  readonly licenceCount: number
  readonly contributorCount: string
  readonly limits: {
    readonly rowsMax: number
    readonly rowBytesMax: number
    readonly rowsPerDayMax: number
    readonly bytesPerDayMax: string
  }
  readonly quorum?: {
    readonly validators: readonly Hex[]
    readonly threshold: number
    readonly scoreMin: number
    readonly commitSeconds: number
    readonly revealSeconds: number
    readonly stakeMin: string
  }
}

export type VersionView = {
  readonly parent: Hex
  readonly rowsRoot: Hex
  readonly rowCount: number
  readonly manifestHash: Hex
  readonly groupsHash: Hex
  readonly contributionCount: number
  readonly licence: number
  readonly publishedAt: string
  readonly cid: string
  readonly terms: {
    readonly permissions: readonly string[]
    readonly purposes: readonly string[]
    readonly contributorsMin: number
    readonly expiresAt: string
    readonly revokedAt: string
    readonly bases: readonly Hex[]
  } | null
}

export type ContributionView = {
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  readonly byteCount: string
  readonly commitBlock: string
  readonly commitOrder: string
  readonly revealedAt: string
  readonly isPrivate: boolean
  readonly isErased: boolean
  readonly validation: {
    readonly openedAt: string
    readonly round: number
    readonly outcome: 'none' | 'accepted' | 'rejected'
    readonly score: number
  }
}

export type PlacedRow = { readonly index: number; readonly contributor: Hex; readonly row: Row }

/** Of one answer of `openledger_getContent`. */
const PART_BYTES = 4 * 2 ** 20

/** Content by hash, checked. @throws NodeError `content-too-large`, `content-corrupt` */
async function contentOf(hash: Hex): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = 0; at <= FILE_BYTES_MAX; at += PART_BYTES) {
    const part = fromHex(await call<Hex>('openledger_getContent', hash, at))
    parts.push(part)
    if (part.length === PART_BYTES) continue
    const bytes = concatBytes(...parts)
    if (keccakHex(bytes) === hash) return bytes
    throw userError('content-corrupt', `The node's answer for ${hash} is not that content.`)
  }
  throw userError('content-too-large', `${hash} has more than ${FILE_BYTES_MAX} bytes.`)
}

/** Rows [from, from + count) of a version; only the files that hold them are fetched. */
export async function rowsOf(
  { manifestHash }: Pick<VersionView, 'manifestHash'>,
  from: number,
  count: number,
): Promise<PlacedRow[]> {
  const { contributions } = decodeVersionManifest(await contentOf(manifestHash), manifestHash)
  const found: PlacedRow[] = []
  let at = 0
  for (const { contributor, rowCount, file } of contributions) {
    const end = at + rowCount
    if (end > from && at < from + count) {
      for (const [i, row] of decodeRows(await contentOf(file)).entries()) {
        const index = at + i
        if (index >= from && index < from + count) found.push({ index, contributor, row })
      }
    }
    at = end
  }
  return found
}

/** Rows of one contribution, checked against its root; null for private ones. */
export async function rowsOfContribution({
  contentHash,
  rowsRoot,
  isPrivate,
}: Pick<ContributionView, 'contentHash' | 'rowsRoot' | 'isPrivate'>): Promise<Row[] | null> {
  if (isPrivate) return null
  const rows = decodeRows(await contentOf(contentHash))
  if (rootOf(rows) === rowsRoot) return rows
  throw new Error('Its file holds other rows than were committed.')
}

/** Rows of a contribution, and whether every picture and sound that they name is what its row says. */
async function judgeRows(
  { contentHash, rowsRoot }: Pick<ContributionView, 'contentHash' | 'rowsRoot'>,
  { withMedia }: { withMedia: boolean },
): Promise<Judged<Row[]>> {
  const read = await judged(async () => decodeRows(await contentOf(contentHash)))
  if (read.kind !== 'right') return read
  if (rootOf(read.value) !== rowsRoot)
    return { kind: 'wrong', why: 'Its file holds other rows than were committed.' }
  if (!withMedia) return read
  type Found = { type: string | null; bytes: number }
  for (const { media } of read.value) {
    if (!media) continue
    const found = await judged(() => call<Found>('openledger_getMedia', media.hash))
    if (found.kind !== 'right') return found
    const why = mediaFault(media, found.value)
    if (why !== null) return { kind: 'wrong', why }
  }
  return read
}

type Revealed = {
  readonly datanetId: bigint
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly order: bigint
  readonly isPrivate: boolean
}

/** Everything that was ever revealed, in the order of commitments. */
async function revealed(datanetId?: string): Promise<Revealed[]> {
  const [{ decodeEventLog, encodeEventTopics }, { DatanetRegistry }] = await Promise.all([
    import('viem'),
    import('../../../../genesis/contracts.generated.ts'),
  ])
  const { abi } = DatanetRegistry
  const [topic] = encodeEventTopics({ abi, eventName: 'Revealed' }) as [Hex]
  const logs = await allLogs({
    address: OPENLEDGER.datanetRegistry,
    topics: datanetId ? [topic, word(datanetId)] : [topic],
  })
  return logs
    .map(({ topics, data }) => {
      const args = decodeEventLog({
        abi,
        eventName: 'Revealed',
        topics: topics as [Hex, ...Hex[]],
        data,
      }).args as unknown as Revealed
      return { ...args, contributor: args.contributor.toLowerCase() as Hex }
    })
    .sort((a, b) => (a.order < b.order ? -1 : 1))
}

const contribution = (
  datanetId: bigint | string,
  rowsRoot: Hex,
): Promise<ContributionView | null> =>
  call('openledger_getContribution', Number(datanetId), rowsRoot)

/** Contributions of a Datanet that stand, newest first. */
export async function contributionsOf(datanetId: string): Promise<ContributionView[]> {
  const all = await revealed(datanetId)
  const roots = [...new Set(all.map(({ rowsRoot }) => rowsRoot))]
  const found = await Promise.all(roots.map((root) => contribution(datanetId, root)))
  return found.filter((one) => one !== null).reverse()
}

/**
 * Publishes everything that is accepted as a version, with its duplicate groups over the rows of all Datanets: the same as
 * `openledger datanet version`. The hash of the transaction.
 */
export async function publishVersion(
  { id, versionCount }: Pick<DatanetView, 'id' | 'versionCount'>,
  tell: (text: string) => void,
): Promise<Hex> {
  const [{ DatanetRegistry, DatanetValidation }, { readContract, waitFor, writeContract }] =
    await Promise.all([
      import('../../../../genesis/contracts.generated.ts'),
      import('../wallet/send.ts'),
    ])
  const asOf = BigInt(await call<Hex>('eth_blockNumber'))
  const all = await revealed()
  const index = new GroupIndex()
  let leftOut = 0
  const own: (VersionPart & { readonly groups: readonly Membership[] })[] = []
  for (const [i, held] of all.entries()) {
    tell(`Reading contribution ${i + 1} of ${all.length}…`)
    const now = await contribution(held.datanetId, held.rowsRoot)
    if (!now || now.isErased || held.isPrivate || BigInt(now.commitOrder) !== held.order) continue
    const read = await judgeRows(held, { withMedia: held.datanetId === BigInt(id) })
    if (read.kind !== 'right') {
      leftOut++
      continue
    }
    const rows = read.value
    const groups = index.addRows(rows)
    if (held.datanetId !== BigInt(id)) continue
    const accepted = await readContract<boolean>({
      address: OPENLEDGER.datanetValidation,
      abi: DatanetValidation.abi,
      functionName: 'isAccepted',
      args: [BigInt(id), held.rowsRoot],
    })
    if (accepted) own.push({ contributor: held.contributor, file: held.contentHash, rows, groups })
  }
  if (own.length === 0)
    throw new Error('No contribution is accepted yet: there is nothing to publish.')
  const { manifest, rowsRoot, contributions } = packVersion(own)
  const groups = encodeGroups({ asOf, rows: own.flatMap((one) => one.groups) })
  const parent =
    versionCount === 0
      ? ZERO_HASH
      : ((await call<VersionView | null>('openledger_getDatanetVersion', Number(id), versionCount))
          ?.rowsRoot ?? ZERO_HASH)
  if (parent === rowsRoot)
    throw new Error('The newest version has the same rows: nothing new is accepted.')
  const [manifestHash, groupsHash] = await Promise.all([
    call<Hex>('openledger_putContent', toHex(manifest)),
    call<Hex>('openledger_putContent', toHex(groups)),
  ])
  const without =
    leftOut === 0
      ? ''
      : ` Left out, of this Datanet or of the others that copies are looked for in: ${leftOut} whose content is wrong, or that nobody shows now.`
  tell(`Waiting for the signature…${without}`)
  const hash = await writeContract({
    address: OPENLEDGER.datanetRegistry,
    abi: DatanetRegistry.abi,
    functionName: 'publish',
    args: [BigInt(id), { parent, rowsRoot, manifestHash, groupsHash, contributions }],
  })
  tell('On its way…')
  await waitFor(hash)
  return hash
}

/** How many rows of a version are copies of which others. */
export async function copiesOf({
  groupsHash,
}: Pick<VersionView, 'groupsHash'>): Promise<
  { readonly row: number; readonly kind: 'exact' | 'near'; readonly group: Hex }[]
> {
  if (groupsHash === ZERO_HASH) return []
  const { decodeGroups } = await import('../../../datanet/groups.ts')
  return decodeGroups(await contentOf(groupsHash)).rows.flatMap(({ kind, group }, row) =>
    kind === KIND.first ? [] : [{ row, group, kind: kind === KIND.exact ? 'exact' : 'near' }],
  )
}
