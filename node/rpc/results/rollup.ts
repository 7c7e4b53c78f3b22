/** Results of `optimism_*`, as op-node has them: plain JSON numbers, and its own names. */
import type { JsonSchema } from '../method.ts'
import { address, bytesOf, hash, integer, shape } from './shape.ts'

const blockId = shape({ hash, number: integer })
const l1Ref = shape({ hash, number: integer, parentHash: hash, timestamp: integer })
const l2Ref = shape({
  hash,
  number: integer,
  parentHash: hash,
  timestamp: integer,
  l1origin: blockId,
  sequenceNumber: integer,
})

export const syncStatus: JsonSchema = shape(
  {
    current_l1: l1Ref,
    current_l1_finalized: l1Ref,
    head_l1: l1Ref,
    safe_l1: l1Ref,
    finalized_l1: l1Ref,
    unsafe_l2: l2Ref,
    safe_l2: l2Ref,
    finalized_l2: l2Ref,
    pending_safe_l2: l2Ref,
    queued_unsafe_l2: l2Ref,
    cross_unsafe_l2: l2Ref,
    local_safe_l2: l2Ref,
  },
  'sync status',
)

export const output: JsonSchema = shape({
  version: hash,
  outputRoot: hash,
  blockRef: l2Ref,
  withdrawalStorageRoot: hash,
  stateRoot: hash,
  syncStatus,
})

export const safeHeadAtL1: JsonSchema = shape({ l1Block: blockId, safeHead: blockId })

export const rollupConfig: JsonSchema = shape({
  genesis: shape({
    l1: blockId,
    l2: blockId,
    l2_time: integer,
    system_config: shape({
      batcherAddr: address,
      overhead: hash,
      scalar: hash,
      gasLimit: integer,
      eip1559Params: bytesOf(8),
    }),
  }),
  block_time: integer,
  max_sequencer_drift: integer,
  seq_window_size: integer,
  channel_timeout: integer,
  granite_channel_timeout: integer,
  l1_chain_id: integer,
  l2_chain_id: integer,
  regolith_time: integer,
  canyon_time: integer,
  delta_time: integer,
  ecotone_time: integer,
  fjord_time: integer,
  granite_time: integer,
  holocene_time: integer,
  isthmus_time: integer,
  batch_inbox_address: address,
  deposit_contract_address: address,
  'l1_system_config_address?': address,
  chain_op_config: shape({
    eip1559Elasticity: integer,
    eip1559Denominator: integer,
    eip1559DenominatorCanyon: integer,
  }),
})
