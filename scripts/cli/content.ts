/** Content of any size from a node, in the parts that one call gives. Whether it is the content is for the caller to see. */
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Rpc } from './rpc.ts'

/** Of one answer of `openledger_getContent`. */
const PART_BYTES = 4 * 2 ** 20
/** 1 GiB: a node that never ends lies. */
const PARTS_MAX = 256

/** @throws NodeError as `Rpc`, `content-too-large` */
export async function contentInParts(rpc: Rpc, hash: Hex): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let part = 0; part < PARTS_MAX; part++) {
    const bytes = fromHex(await rpc<Hex>('openledger_getContent', hash, part * PART_BYTES))
    parts.push(bytes)
    if (bytes.length < PART_BYTES) return new Uint8Array(Buffer.concat(parts))
  }
  throw userError('content-too-large', `${hash} has more than ${PARTS_MAX * PART_BYTES} bytes`)
}
