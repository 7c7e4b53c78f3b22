/**
 * openledger_*: Datanets, their versions, contributions and rows. A row comes with the proof that ties it to the
 * rows root on chain when that is asked for; `openledger_contribute` pays the gas of people who have none.
 */
import { type Hex, toHex, ZERO_HASH } from '../../base/bytes.ts'
import { userError } from '../../base/errors.ts'
import { cidOf } from '../../content/cid.ts'
import { decodeGroups } from '../../datanet/groups.ts'
import { namesOf, PERMISSIONS, PURPOSES } from '../../datanet/licence.ts'
import { lookAtMedia, type MediaModules } from '../../datanet/media-route.ts'
import { type Profile, profileOf } from '../../datanet/profile.ts'
import { proveRow, type RowProof } from '../../datanet/proof.ts'
import { readVersion } from '../../datanet/version.ts'
import { CONTRACTS, type Registry, type VersionRecord } from '../../model/registry.ts'
import type { ModelServices } from '../../model/services.ts'
import { COST, type JsonObject, method, type RpcMethods } from '../method.ts'
import { address, bool, bytes, count, fields, hash, list, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { listOf, nullable } from '../results/shape.ts'
import { orNull, plain } from './plain.ts'

const COMMITMENTS_MAX = 256
/** Rows that one call counts the tokens of. */
const PROFILE_ROWS_MAX = 20_000

const datanetId = required('datanetId', count)
const version = required('version', count)
const row = required('row', count)
const contribution = fields({
  datanetId: count,
  contributor: address,
  rowsRoot: hash,
  contentHash: hash,
  rowCount: count,
  byteCount: count,
  isPrivate: bool,
  salt: hash,
})

export function datanetMethods({
  models,
  content,
}: {
  readonly models: ModelServices
  readonly content: MediaModules['content']
}): RpcMethods {
  const { registry } = models
  return {
    openledger_listDatanets: method({
      summary: 'Datanets, newest first',
      params: [],
      result: listOf(shapes.datanet),
      handler: async () => (await registry.datanets()).map(plain),
    }),
    openledger_getDatanet: method({
      summary: 'One Datanet with its quorum of validators, or null',
      params: [datanetId],
      result: nullable(shapes.datanet),
      handler: async (_context, [id]) => {
        const found = await registry.datanet(BigInt(id))
        return found && plain({ ...found, quorum: await registry.quorum(BigInt(id)) })
      },
    }),
    openledger_getDatanetVersion: method({
      summary: 'One version of a Datanet with its licence terms in words, or null',
      params: [datanetId, version],
      result: nullable(shapes.datanetVersion),
      handler: async (_context, [id, number]) => {
        const found = await registry.version(BigInt(id), number)
        return found && versionView(found, await registry.licence(BigInt(id), number))
      },
    }),
    openledger_getContribution: method({
      summary: 'Who owns rows, since when, and how they were judged, or null',
      params: [datanetId, required('rowsRoot', hash)],
      result: nullable(shapes.contribution),
      handler: async (_context, [id, rowsRoot]) => {
        const found = await registry.contribution(BigInt(id), rowsRoot)
        return orNull(found && { ...found, cid: cidOf(found.contentHash) })
      },
    }),
    openledger_getRow: method({
      summary: 'One row of a version, counted from 0, with who gave it',
      params: [datanetId, version, row],
      result: shapes.row,
      cost: COST.scan,
      aside: false,
      handler: async (_context, [id, number, index]) => {
        const { proof: _, ...found } = await prove(models, { id, number, index })
        return plain(found)
      },
    }),
    openledger_getRowProof: method({
      summary: "One row of a version with the Merkle proof to the version's rows root on chain",
      params: [datanetId, version, row],
      result: shapes.rowProof,
      cost: COST.scan,
      aside: false,
      handler: async (_context, place) => {
        const [id, number, index] = place
        return plain(await prove(models, { id, number, index }))
      },
    }),
    openledger_getVersionProfile: method({
      summary:
        'How long the rows of a version are, in tokens of the base model, and how many are copies',
      params: [datanetId, version],
      result: shapes.versionProfile,
      cost: COST.scan,
      aside: false,
      handler: async (_context, [id, number]) => plain(await profile(models, BigInt(id), number)),
    }),
    openledger_getMedia: method({
      summary:
        'What content is, here or with peers: its media type by its first bytes (null: neither picture nor sound) and how many bytes; `GET /media/<hash>` serves it',
      params: [required('hash', hash)],
      result: shapes.media,
      cost: COST.scan,
      aside: false,
      handler: (_context, [name]) =>
        lookAtMedia(name, { content, readContent: models.readContent }),
    }),
    openledger_commitRows: method({
      summary: "Sends commitments from this node's account; answers the transaction's hash",
      params: [datanetId, required('commitments', list(hash, COMMITMENTS_MAX))],
      result: hash.schema,
      handler: (_context, [id, commitments]) => relay(models, 'commit', [id, commitments]),
    }),
    openledger_contribute: method({
      summary:
        "Reveals a committed contribution for its contributor, who signed it (EIP-712), from this node's account; answers the transaction's hash",
      params: [required('contribution', contribution), required('signature', bytes)],
      result: hash.schema,
      handler: (_context, [signed, signature]) =>
        relay(models, 'revealFor', [signed, toHex(signature)]),
    }),
  }
}

/** For people without gas, from the provider's account. The transaction's hash. */
function relay(
  { provider }: ModelServices,
  name: 'commit' | 'revealFor',
  args: readonly unknown[],
): Promise<Hex> {
  if (provider) return provider.account.send(CONTRACTS.datanets, name, args)
  throw userError('no-relay', 'this node has no account to relay from; ask one that serves models')
}

async function prove(
  { registry, readContent }: ModelServices,
  { id, number, index }: { id: number; number: number; index: number },
): Promise<RowProof> {
  const found = await registry.version(BigInt(id), number)
  if (!found) throw userError('datanet-unknown', `Datanet ${id} has no version ${number}`)
  return proveRow(found, index, readContent)
}

/** @throws NodeError when there is no such version, or it has more rows than are counted here */
async function profile(
  { registry, library, readContent }: ModelServices,
  id: bigint,
  number: number,
): Promise<Profile> {
  const found = await registry.version(id, number)
  if (!found) throw userError('datanet-unknown', `Datanet ${id} has no version ${number}`)
  if (found.rowCount > PROFILE_ROWS_MAX)
    throw userError('datanet-rows', `${found.rowCount} rows; profiles are of ${PROFILE_ROWS_MAX}`)
  const rows = await readVersion(found, readContent)
  const groups =
    found.groupsHash === ZERO_HASH ? null : decodeGroups(await readContent(found.groupsHash)).rows
  const { model } = library.base
  return profileOf(
    rows.map(({ row: { text } }) => model.encode(text).length),
    groups,
  )
}

function versionView(
  found: VersionRecord,
  licence: Awaited<ReturnType<Registry['licence']>>,
): JsonObject {
  const terms = licence && {
    ...licence.terms,
    permissions: namesOf(licence.terms.permissions, PERMISSIONS),
    purposes: namesOf(licence.terms.purposes, PURPOSES),
    revokedAt: licence.revokedAt,
  }
  return plain({ ...found, cid: cidOf(found.manifestHash), terms })
}
