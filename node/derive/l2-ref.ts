/** An L2 block as derivation sees it: what `L2Ref` says stands in its L1 attributes deposit. */
import type { ChainConfig } from '../../genesis/chain.ts'
import { assert } from '../base/errors.ts'
import { l1AttributesOf } from '../chain/l1-attributes.ts'
import type { Block } from '../chain/types.ts'
import type { L2Ref } from './types.ts'

export function l2RefOf(config: ChainConfig, block: Block): L2Ref {
  const { hash, header } = block
  const { number, timestamp } = header
  if (number === config.genesis.l2.number) {
    return { hash, number, timestamp, l1Origin: config.genesis.l1, sequenceNumber: 0n }
  }
  const attributes = l1AttributesOf(block)
  assert(attributes, `block ${number} begins with its L1 attributes`)
  const l1Origin = { hash: attributes.hash, number: attributes.number }
  return { hash, number, timestamp, l1Origin, sequenceNumber: attributes.sequenceNumber }
}
