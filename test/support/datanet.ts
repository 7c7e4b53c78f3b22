/** Datanets for tests on our own chain: parameters to create one, and contributions to it. */
import { type Hex, ZERO_HASH } from '../../node/base/bytes.ts'
import type { ContentStore } from '../../node/content/store.ts'
import { type Contribution, commitmentOf } from '../../node/datanet/contribution.ts'
import { encodeGroups, GroupIndex } from '../../node/datanet/groups.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../../node/datanet/licence.ts'
import { encodeRows, type Row, rowsRoot } from '../../node/datanet/rows.ts'
import { packVersion } from '../../node/datanet/version.ts'
import type { Wallet } from './chain.ts'
import type { Economy } from './economy.ts'
import { datanets, hashOf } from './model.ts'

export const SALT: Hex = `0x${'5a'.repeat(32)}`
export const LIMITS = { rowsMax: 100, rowBytesMax: 65_536, rowsPerDayMax: 0, bytesPerDayMax: 0n }

export function datanetParams(change: Partial<Record<string, unknown>> = {}): object {
  return {
    name: 'speeches',
    schema: '{"text":"string"}',
    licence: PUBLIC_DOMAIN,
    treasury: `0x${'00'.repeat(20)}`,
    limits: LIMITS,
    quorum: NO_QUORUM,
    payer: 0,
    relayFee: 0n,
    ...change,
  }
}

export async function openDatanet(
  world: Economy,
  owner: Wallet,
  change: Partial<Record<string, unknown>> = {},
): Promise<bigint> {
  const { events } = await world.send(owner, datanets, 'create', [datanetParams(change)])
  return events[0]?.args.datanetId as bigint
}

export function contributionOf(
  datanetId: bigint,
  who: Wallet,
  change: Partial<Contribution> = {},
): Contribution {
  return {
    datanetId,
    contributor: who.address,
    rowsRoot: hashOf(`rows of ${who.address}`),
    contentHash: hashOf('file'),
    rowCount: 5,
    byteCount: 100n,
    isPrivate: false,
    salt: SALT,
    ...change,
  }
}

export async function commit(
  world: Economy,
  contribution: Contribution,
  sender: Wallet,
): Promise<void> {
  const args = [contribution.datanetId, [commitmentOf(contribution)]]
  await world.send(sender, datanets, 'commit', args)
}

/** Commits and reveals. */
export async function contribute(
  world: Economy,
  contribution: Contribution,
  who: Wallet,
): Promise<void> {
  await commit(world, contribution, who)
  await world.pass()
  await world.send(who, datanets, 'reveal', [contribution])
}

/** A Datanet of any rows with one version, of one contribution. */
export async function publishRows(
  { economy, content }: { economy: Economy; content: ContentStore },
  owner: Wallet,
  { who, rows }: { who: Wallet; rows: readonly Row[] },
): Promise<bigint> {
  const file = await content.put(encodeRows(rows))
  const id = await openDatanet(economy, owner, { schema: '' })
  const given = { rowsRoot: rowsRoot(rows), contentHash: file, rowCount: rows.length }
  await contribute(economy, contributionOf(id, who, given), who)
  const packed = packVersion([{ contributor: who.address, rows, file }])
  const manifestHash = await content.put(packed.manifest)
  const groups = encodeGroups({ asOf: 0n, rows: new GroupIndex().addRows(rows) })
  const version = versionOf(packed.rowsRoot, packed.contributions)
  const hashes = { manifestHash, groupsHash: await content.put(groups) }
  await economy.send(owner, datanets, 'publish', [id, { ...version, ...hashes }])
  return id
}

export function versionOf(
  rowsRoot: Hex,
  contributions: readonly Hex[],
  parent: Hex = ZERO_HASH,
): object {
  const [manifestHash, groupsHash] = [hashOf('version manifest'), hashOf('groups')]
  return { parent, rowsRoot, manifestHash, groupsHash, contributions }
}
