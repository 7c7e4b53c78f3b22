/** Datanets for tests on our own chain: parameters to create one, and contributions to it. */
import { type Hex, ZERO_HASH } from '../../node/base/bytes.ts'
import { type Contribution, commitmentOf } from '../../node/datanet/contribution.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../../node/datanet/licence.ts'
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

export function versionOf(
  rowsRoot: Hex,
  contributions: readonly Hex[],
  parent: Hex = ZERO_HASH,
): object {
  const [manifestHash, groupsHash] = [hashOf('version manifest'), hashOf('groups')]
  return { parent, rowsRoot, manifestHash, groupsHash, contributions }
}
