/**
 * From a block parameter to a block. `latest` and `pending` are the unsafe head: what is not in a block yet
 * has no block. An unknown block is an error where state is asked for, never silently the latest.
 */
import type { EthereumBlock as Block, Receipt } from '../chain/types.ts'
import type { RpcChain } from './context.ts'
import { RPC, RpcError } from './errors.ts'
import type { BlockId } from './params.ts'

/** null when there is none. @throws RpcError for a hash off the canonical chain that must be on it */
export function findBlock(chain: RpcChain, id: BlockId): Block | null {
  switch (id.kind) {
    case 'number':
      return chain.blockByNumber(id.number)
    case 'hash': {
      const block = chain.blockByHash(id.hash)
      if (block && id.requireCanonical) {
        if (!chain.isCanonical({ hash: block.hash, number: block.header.number })) {
          throw new RpcError(RPC.server, `hash ${id.hash} is not currently canonical`)
        }
      }
      return block
    }
    case 'tag':
      switch (id.tag) {
        case 'latest':
        case 'pending':
          return chain.blockByTag('unsafe')
        case 'safe':
        case 'finalized':
          return chain.blockByTag(id.tag)
        case 'earliest':
          return chain.genesis
      }
  }
}

/** @throws RpcError `code` */
export function mustFindBlock(chain: RpcChain, id: BlockId, code: number = RPC.notFound): Block {
  const block = findBlock(chain, id)
  if (block) return block
  if (id.kind === 'hash') throw new RpcError(code, `header not found: no block ${id.hash}`)
  const head = chain.headRef('unsafe').number
  const wanted = id.kind === 'number' ? id.number : id.tag
  throw new RpcError(code, `header not found: no block ${wanted}, the head is ${head}`)
}

export function receiptsOf(chain: RpcChain, block: Block): readonly Receipt[] {
  const receipts = chain.receipts(block.hash)
  if (!receipts) throw new Error(`receipts of ${block.hash} are missing`)
  return receipts
}
