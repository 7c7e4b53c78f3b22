/** Blocks, their receipts, and what the node knows of itself as an Ethereum node. */
import type { Hex } from '../../base/bytes.ts'
import { headerHash } from '../../chain/block.ts'
import type { EthereumBlock } from '../../chain/types.ts'
import { findBlock, receiptsOf } from '../blocks.ts'
import type { RpcChain, RpcContext } from '../context.ts'
import { blockObject, quantity, receiptObjects } from '../format.ts'
import { type Json, method, type RpcMethods } from '../method.ts'
import {
  type BlockId,
  block,
  blockNumber,
  bool,
  hash,
  index,
  optional,
  required,
  schemas,
} from '../params.ts'
import * as shapes from '../results/ethereum.ts'
import { listOf, nullable } from '../results/shape.ts'

const NULLABLE_QUANTITY = nullable(schemas.quantity)

const hashId = (value: Hex): BlockId => ({ kind: 'hash', hash: value, requireCanonical: false })

const RESOURCES = ['state', 'tx', 'logs', 'receipts', 'blocks', 'stateproofs'] as const

export const chainMethods: RpcMethods = {
  eth_chainId: method({
    summary: 'The chain id (EIP-155)',
    params: [],
    result: schemas.quantity,
    handler: ({ chain }) => quantity(chain.rules.chainId),
  }),
  eth_blockNumber: method({
    summary: 'Number of the newest block',
    params: [],
    result: schemas.quantity,
    handler: ({ chain }) => quantity(chain.headRef('unsafe').number),
  }),
  eth_getBlockByNumber: method({
    summary: 'A block by number or tag; null when there is none',
    params: [required('block', blockNumber), optional('full', bool, false)],
    result: nullable(shapes.block),
    handler: (context, [id, full]) => showBlock(context, id, full),
  }),
  eth_getBlockByHash: method({
    summary: 'A block by hash; null when there is none',
    params: [required('blockHash', hash), optional('full', bool, false)],
    result: nullable(shapes.block),
    handler: (context, [blockHash, full]) => showBlock(context, hashId(blockHash), full),
  }),
  eth_getBlockReceipts: method({
    summary: 'All receipts of a block; null when there is none',
    params: [required('block', block)],
    result: nullable(listOf(shapes.receipt)),
    handler: ({ chain }, [id]) => {
      const found = findBlock(chain, id)
      return found ? receiptObjects(found, receiptsOf(chain, found)) : null
    },
  }),
  eth_getBlockTransactionCountByNumber: method({
    summary: 'How many transactions a block has',
    params: [required('block', blockNumber)],
    result: NULLABLE_QUANTITY,
    handler: ({ chain }, [id]) => countOf(findBlock(chain, id)?.transactions),
  }),
  eth_getBlockTransactionCountByHash: method({
    summary: 'How many transactions a block has',
    params: [required('blockHash', hash)],
    result: NULLABLE_QUANTITY,
    handler: ({ chain }, [blockHash]) => countOf(findBlock(chain, hashId(blockHash))?.transactions),
  }),
  eth_getUncleCountByBlockNumber: method({
    summary: 'How many uncles a block names; a rollup has none, nor Ethereum since the merge',
    params: [required('block', blockNumber)],
    result: NULLABLE_QUANTITY,
    handler: ({ chain }, [id]) => unclesOf(findBlock(chain, id)),
  }),
  eth_getUncleCountByBlockHash: method({
    summary: 'How many uncles a block names; a rollup has none, nor Ethereum since the merge',
    params: [required('blockHash', hash)],
    result: NULLABLE_QUANTITY,
    handler: ({ chain }, [blockHash]) => unclesOf(findBlock(chain, hashId(blockHash))),
  }),
  eth_getUncleByBlockNumberAndIndex: method({
    summary: 'An uncle as a block without transactions; null when there is none',
    params: [required('block', blockNumber), required('index', index)],
    result: nullable(shapes.uncle),
    handler: ({ chain }, [id, at]) => showUncle(chain, findBlock(chain, id), at),
  }),
  eth_getUncleByBlockHashAndIndex: method({
    summary: 'An uncle as a block without transactions; null when there is none',
    params: [required('blockHash', hash), required('index', index)],
    result: nullable(shapes.uncle),
    handler: ({ chain }, [blockHash, at]) =>
      showUncle(chain, findBlock(chain, hashId(blockHash)), at),
  }),
  eth_syncing: method({
    summary: 'false, or how far the node is',
    params: [],
    result: shapes.syncing,
    handler: (context) => syncingObject(context),
  }),
  eth_capabilities: method({
    summary: 'What this node can be asked for: everything since genesis, it is an archive',
    params: [],
    result: shapes.capabilities,
    handler: ({ chain }) => {
      const { number, hash: headHash } = chain.headRef('unsafe')
      const whole = { disabled: false, oldestBlock: quantity(chain.genesis.header.number) }
      return {
        head: { number: quantity(number), hash: headHash },
        ...Object.fromEntries(RESOURCES.map((name) => [name, whole])),
      }
    },
  }),
  eth_coinbase: method({
    summary: 'Who receives the tips of new blocks: on the rollup the sequencer fee vault',
    params: [],
    result: schemas.address,
    handler: ({ chain }) => chain.head('unsafe').coinbase,
  }),
  eth_accounts: method({
    summary: 'Always empty: the node keeps no keys',
    params: [],
    result: listOf(schemas.address),
    handler: () => [],
  }),
}

export function syncingObject(context: RpcContext): Json {
  const progress = context.syncing()
  if (!progress) return false
  return {
    startingBlock: quantity(progress.from),
    currentBlock: quantity(progress.current),
    highestBlock: quantity(progress.highest),
  }
}

function showBlock({ chain }: RpcContext, id: BlockId, full: boolean): Json {
  const found = findBlock(chain, id)
  if (!found) return null
  const { rules } = chain
  return full
    ? blockObject(found, { rules, full, receipts: receiptsOf(chain, found) })
    : blockObject(found, { rules, full })
}

function unclesOf(block: EthereumBlock | null): Json {
  return block && quantity((block.ommers ?? []).length)
}

function showUncle({ rules }: RpcChain, block: EthereumBlock | null, at: number): Json {
  const header = block?.ommers?.[at]
  if (!header) return null
  const uncle = { hash: headerHash(header), header, transactions: [] }
  const { transactions: _none, ...shown } = blockObject(uncle, { rules, full: false })
  return shown
}

function countOf(list: readonly unknown[] | undefined): Json {
  return list ? quantity(list.length) : null
}
