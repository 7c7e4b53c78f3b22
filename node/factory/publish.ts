/**
 * Rows that come without a Datanet (a file uploaded through OpenAI's API) become one: of the node's own account, in
 * one contribution of that account, published as version 1. So they go the way of all rows: committed, owned,
 * attributed and paid.
 */
import { bytesToBigint, fromHex, type Hex, keccakHex, utf8, ZERO_HASH } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { ContentStore } from '../content/store.ts'
import { commitmentOf } from '../datanet/contribution.ts'
import { encodeGroups, GroupIndex } from '../datanet/groups.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../datanet/licence.ts'
import { encodeRows, ROW_BYTES_MAX, type Row } from '../datanet/rows.ts'
import { packVersion } from '../datanet/version.ts'
import { BASE_LICENCE } from '../model/base.ts'
import { CONTRACTS } from '../model/registry.ts'
import type { JobChain } from './chain.ts'
import { UPLOAD_ROWS_MAX } from './options.ts'

const { datanets: DATANETS, models: MODELS } = CONTRACTS

/** The Datanet's id, decimal. */
export async function publishRows(
  rows: readonly Row[],
  name: string,
  { chain, content }: { chain: JobChain; content: ContentStore },
): Promise<string> {
  const contributor = chain.worker
  const file = encodeRows(rows)
  const fileHash = await content.put(file)
  const { manifest, rowsRoot, contributions } = packVersion([{ contributor, file: fileHash, rows }])
  const [root = ZERO_HASH] = contributions
  const limits = {
    rowsMax: UPLOAD_ROWS_MAX,
    rowBytesMax: ROW_BYTES_MAX,
    rowsPerDayMax: 0,
    bytesPerDayMax: 0n,
  }
  const params = {
    name,
    schema: '{"text":"string"}',
    licence: PUBLIC_DOMAIN,
    treasury: contributor,
    limits,
    quorum: NO_QUORUM,
    payer: 0,
    relayFee: 0n,
  }
  const created = await chain.send(DATANETS, 'create', [params])
  const topic = created.find(({ address }) => address === DATANETS.address)?.topics[1]
  if (!topic) throw new NodeError('datanet-create', 'retry', 'the new Datanet left no event')
  const datanetId = bytesToBigint(fromHex(topic))
  const contribution = {
    datanetId,
    contributor,
    rowsRoot: root,
    contentHash: fileHash,
    rowCount: rows.length,
    byteCount: BigInt(file.length),
    isPrivate: false,
    salt: keccakHex(utf8(`${name} ${fileHash}`)),
  }
  await chain.send(DATANETS, 'commit', [datanetId, [commitmentOf(contribution)]])
  await chain.nextBlock()
  await chain.send(DATANETS, 'reveal', [contribution])
  // Of this upload alone: the node does not read all Datanets for it.
  const groups = encodeGroups({ asOf: 0n, rows: new GroupIndex().addRows(rows) })
  const version = {
    parent: ZERO_HASH,
    rowsRoot,
    manifestHash: await content.put(manifest),
    groupsHash: await content.put(groups),
    contributions,
  }
  await chain.send(DATANETS, 'publish', [datanetId, version])
  return datanetId.toString()
}

/** Registers the base unless somebody has. */
export async function ensureBase(
  base: { hash: Hex; name: string },
  chain: JobChain,
): Promise<void> {
  if (await chain.knowsBase(base.hash)) return
  try {
    await chain.send(MODELS, 'registerBase', [base.hash, base.name, BASE_LICENCE])
  } catch (error) {
    // Somebody was quicker.
    if (!(await chain.knowsBase(base.hash))) throw error
  }
}
