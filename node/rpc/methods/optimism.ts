/**
 * The rollup node's methods, as op-node has them: numbers in block references are plain JSON numbers,
 * names of the fields included (`l1origin`).
 */
import type { ChainConfig } from '../../../genesis/chain.ts'
import { bigintToBytes, concatBytes, type Hex, toHex, ZERO_HASH } from '../../base/bytes.ts'
import { l1AttributesOf } from '../../chain/l1-attributes.ts'
import { outputRootOf } from '../../chain/output.ts'
import type { EthereumBlock as Block, BlockRef } from '../../chain/types.ts'
import { mustFindBlock } from '../blocks.ts'
import type { L1BlockRef, RpcChain, RpcContext } from '../context.ts'
import { RPC, RpcError } from '../errors.ts'
import { type JsonObject, method, type RpcMethods } from '../method.ts'
import { blockNumber, required } from '../params.ts'
import * as shapes from '../results/rollup.ts'
import { text } from '../results/shape.ts'

export const optimismMethods: RpcMethods = {
  optimism_outputAtBlock: method({
    summary: 'The output root (version 0) after a block, with its parts',
    params: [required('block', blockNumber)],
    result: shapes.output,
    handler: (context, [id]) => {
      const { chain } = context
      const block = mustFindBlock(chain, id)
      const { stateRoot, withdrawalsRoot } = block.header
      return {
        version: ZERO_HASH,
        outputRoot: outputRootOf(block),
        blockRef: l2Ref(rollupOf(chain), block),
        withdrawalStorageRoot: withdrawalsRoot,
        stateRoot,
        syncStatus: syncStatus(context),
      }
    },
  }),
  optimism_syncStatus: method({
    summary: 'The heads of both chains; zeros where the node does not know yet',
    params: [],
    result: shapes.syncStatus,
    handler: (context) => syncStatus(context),
  }),
  optimism_rollupConfig: method({
    summary: 'The chain configuration, named as in rollup.json of the OP Stack',
    params: [],
    result: shapes.rollupConfig,
    handler: ({ chain }) => rollupConfig(rollupOf(chain), chain.genesis),
  }),
  optimism_safeHeadAtL1Block: method({
    summary: 'The newest block that was safe when derivation had read L1 up to a block',
    params: [required('l1Block', blockNumber)],
    result: shapes.safeHeadAtL1,
    handler: async (context, [id]) => {
      rollupOf(context.chain)
      const { current } = context.l1Status()
      const wanted = id.kind === 'number' ? id.number : current?.number
      const found = wanted === undefined ? null : await context.safeHeadAtL1(wanted)
      if (found) return { l1Block: blockId(found.l1Block), safeHead: blockId(found.safeHead) }
      const read = current
        ? `derivation has read L1 up to block ${current.number}`
        : 'derivation has not begun'
      throw new RpcError(
        RPC.notFound,
        `safe head not found at L1 block ${wanted ?? 'latest'}: ${read}, and safe heads are kept from the finalized L1 block on`,
      )
    },
  }),
  optimism_version: method({
    summary: 'Name and version of the node',
    params: [],
    result: text,
    handler: ({ clientVersion }) => clientVersion,
  }),
}

/** @throws RpcError on a plain Ethereum chain. */
function rollupOf({ config }: RpcChain): ChainConfig {
  if (config) return config
  throw new RpcError(RPC.unavailable, 'this chain is no rollup: it has no optimism_ methods')
}

function syncStatus({ chain, l1Status }: RpcContext): JsonObject {
  const l1 = l1Status()
  const head = (tag: 'unsafe' | 'safe' | 'finalized'): JsonObject =>
    l2Ref(rollupOf(chain), chain.blockByTag(tag) ?? chain.genesis)
  return {
    current_l1: l1Ref(l1.current),
    current_l1_finalized: l1Ref(l1.finalized),
    head_l1: l1Ref(l1.head),
    safe_l1: l1Ref(l1.safe),
    finalized_l1: l1Ref(l1.finalized),
    unsafe_l2: head('unsafe'),
    safe_l2: head('safe'),
    finalized_l2: head('finalized'),
    pending_safe_l2: head('safe'),
    queued_unsafe_l2: head('unsafe'),
    cross_unsafe_l2: head('unsafe'),
    local_safe_l2: head('safe'),
  }
}

function l1Ref(ref: L1BlockRef | null): JsonObject {
  return {
    hash: ref?.hash ?? ZERO_HASH,
    number: Number(ref?.number ?? 0n),
    parentHash: ref?.parentHash ?? ZERO_HASH,
    timestamp: Number(ref?.timestamp ?? 0n),
  }
}

function l2Ref(config: ChainConfig, block: Block): JsonObject {
  const origin = l1AttributesOf(block)
  return {
    hash: block.hash,
    number: Number(block.header.number),
    parentHash: block.header.parentHash,
    timestamp: Number(block.header.timestamp),
    l1origin: blockId(origin ?? config.genesis.l1),
    sequenceNumber: Number(origin?.sequenceNumber ?? 0n),
  }
}

function blockId({ hash, number }: BlockRef): JsonObject {
  return { hash, number: Number(number) }
}

function rollupConfig(config: ChainConfig, genesis: Block): JsonObject {
  const { systemConfig, l1, l2Time } = config.genesis
  const { baseFeeScalar, blobBaseFeeScalar, eip1559Denominator, eip1559Elasticity } = systemConfig
  // Every fork is active from genesis.
  const forks = [
    'regolith',
    'canyon',
    'delta',
    'ecotone',
    'fjord',
    'granite',
    'holocene',
    'isthmus',
  ]
  return {
    genesis: {
      l1: blockId(l1),
      l2: { hash: genesis.hash, number: Number(genesis.header.number) },
      l2_time: Number(l2Time),
      system_config: {
        batcherAddr: systemConfig.batcher,
        overhead: ZERO_HASH,
        scalar: ecotoneScalar(baseFeeScalar, blobBaseFeeScalar),
        gasLimit: Number(systemConfig.gasLimit),
        eip1559Params: toHex(
          concatBytes(
            bigintToBytes(BigInt(eip1559Denominator), 4),
            bigintToBytes(BigInt(eip1559Elasticity), 4),
          ),
        ),
      },
    },
    block_time: Number(config.blockTime),
    max_sequencer_drift: Number(config.maxSequencerDrift),
    seq_window_size: Number(config.seqWindowSize),
    channel_timeout: Number(config.channelTimeout),
    granite_channel_timeout: Number(config.channelTimeout),
    l1_chain_id: config.l1ChainId,
    l2_chain_id: config.l2ChainId,
    ...Object.fromEntries(forks.map((fork) => [`${fork}_time`, 0])),
    batch_inbox_address: config.batchInbox,
    deposit_contract_address: config.portal,
    ...(config.l1SystemConfig && { l1_system_config_address: config.l1SystemConfig }),
    chain_op_config: {
      eip1559Elasticity,
      eip1559Denominator,
      eip1559DenominatorCanyon: eip1559Denominator,
    },
  }
}

/** Version 1: `01 || 23 zero bytes || blob scalar u32 || base fee scalar u32`. */
function ecotoneScalar(baseFeeScalar: number, blobBaseFeeScalar: number): Hex {
  return toHex(
    concatBytes(
      Uint8Array.of(1),
      new Uint8Array(23),
      bigintToBytes(BigInt(blobBaseFeeScalar), 4),
      bigintToBytes(BigInt(baseFeeScalar), 4),
    ),
  )
}
