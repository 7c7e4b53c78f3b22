/**
 * Rows that come without a Datanet (a file uploaded through OpenAI's API) become one: of the node's own account, in
 * one contribution of that account, published as version 1. So they go the way of all rows: committed, owned,
 * attributed and paid.
 */
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { DatanetRegistry, ModelRegistry } from '../../genesis/contracts.generated.ts'
import {
  bytesToBigint,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  utf8,
  ZERO_HASH,
} from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { ContentStore } from '../content/store.ts'
import { commitmentOf } from '../datanet/contribution.ts'
import { encodeGroups, GroupIndex } from '../datanet/groups.ts'
import { NO_QUORUM, PUBLIC_DOMAIN } from '../datanet/licence.ts'
import { encodeRow, encodeRows, ROW_BYTES_MAX, type Row, rowsRoot } from '../datanet/rows.ts'
import { encodeVersionManifest, versionRoot } from '../datanet/version.ts'
import type { Contract } from '../model/contracts.ts'
import type { JobChain } from './chain.ts'
import { UPLOAD_ROWS_MAX } from './options.ts'

const DATANETS = {
  address: OPENLEDGER.datanetRegistry as Hex,
  abi: DatanetRegistry.abi,
} as Contract
const MODELS = { address: OPENLEDGER.modelRegistry as Hex, abi: ModelRegistry.abi } as Contract

/** The Datanet's id, decimal. */
export async function publishRows(
  rows: readonly Row[],
  name: string,
  { chain, content }: { chain: JobChain; content: ContentStore },
): Promise<string> {
  const contributor = chain.worker
  const file = encodeRows(rows)
  const fileHash = await content.put(file)
  const root = rowsRoot(rows)
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
  const owned = rows.map((row) => ({ contributor, row }))
  const given = { contributor, rowsRoot: root, rowCount: rows.length, file: fileHash }
  const manifest = encodeVersionManifest({ version: 1, contributions: [given] })
  const index = new GroupIndex()
  const groups = encodeGroups({
    asOf: 0n,
    rows: rows.map((row) => index.add(keccak(encodeRow(row)), row.text)),
  })
  const version = {
    parent: ZERO_HASH,
    rowsRoot: versionRoot(owned),
    manifestHash: await content.put(manifest),
    groupsHash: await content.put(groups),
    contributions: [root],
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
    await chain.send(MODELS, 'registerBase', [base.hash, base.name, 'see the base model'])
  } catch (error) {
    // Somebody was quicker.
    if (!(await chain.knowsBase(base.hash))) throw error
  }
}
