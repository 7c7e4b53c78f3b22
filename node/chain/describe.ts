/** What a database is, for a snapshot's manifest: schema, genesis, heads. */
import { toHex } from '../base/bytes.ts'
import { storeError } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { SCHEMA_VERSION } from '../store/tables.ts'
import { decodeEthereumBlock } from './block.ts'
import { readHeads } from './heads.ts'
import type { BlockRef } from './types.ts'

/** By the `meta` rows of one instant, while the store may go on. @throws NodeError `store-damaged` when
 * there is no head */
export function describeStore(
  store: Pick<Store, 'block'>,
  meta: (name: string) => Uint8Array | undefined,
): Readonly<Record<string, unknown>> {
  const heads = readHeads({ meta })
  const bytes = heads && store.block(heads.unsafe.hash)
  const genesis = meta('genesis')
  if (!heads || !bytes || !genesis)
    throw storeError('store-damaged', 'the database has no head block')
  const { header, hash } = decodeEthereumBlock(bytes)
  const ref = (at: BlockRef) => ({ hash: at.hash, number: Number(at.number) })
  return {
    schema: SCHEMA_VERSION,
    genesis: toHex(genesis),
    head: { hash, number: Number(header.number), stateRoot: header.stateRoot },
    safe: ref(heads.safe),
    finalized: ref(heads.finalized),
  }
}
