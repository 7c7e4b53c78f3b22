/** Raw consensus encodings: everything a block commits to, as bytes. */
import { toHex } from '../../base/bytes.ts'
import { encodeBlock, encodeHeader } from '../../chain/block.ts'
import { encodeReceipt } from '../../chain/receipt.ts'
import { mustFindBlock, receiptsOf } from '../blocks.ts'
import { method, type RpcMethods } from '../method.ts'
import { block, hash, required, schemas } from '../params.ts'
import { listOf } from '../results/shape.ts'

export const debugMethods: RpcMethods = {
  debug_getRawHeader: method({
    summary: 'The RLP of a header',
    params: [required('block', block)],
    result: schemas.data,
    handler: ({ chain }, [id]) => toHex(encodeHeader(mustFindBlock(chain, id).header)),
  }),
  debug_getRawBlock: method({
    summary: 'The RLP of a block',
    params: [required('block', block)],
    result: schemas.data,
    handler: ({ chain }, [id]) => toHex(encodeBlock(mustFindBlock(chain, id))),
  }),
  debug_getRawReceipts: method({
    summary: 'The consensus encodings of a block’s receipts (EIP-2718)',
    params: [required('block', block)],
    result: listOf(schemas.data),
    handler: ({ chain }, [id]) =>
      receiptsOf(chain, mustFindBlock(chain, id)).map((receipt) => toHex(encodeReceipt(receipt))),
  }),
  debug_getBadBlocks: method({
    summary: 'Always empty: a block that fails is refused and not kept',
    params: [],
    result: { type: 'array', maxItems: 0 },
    handler: () => [],
  }),
  debug_getRawTransaction: method({
    summary: 'The encoding of a transaction (EIP-2718), waiting ones included; 0x when unknown',
    params: [required('transactionHash', hash)],
    result: schemas.data,
    handler: ({ chain, pool }, [txHash]) => {
      const place = chain.transaction(txHash)
      const raw = place ? place.block.transactions[place.index] : pool?.get(txHash)?.raw
      return raw ? toHex(raw) : '0x'
    },
  }),
}
