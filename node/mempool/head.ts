/** The newest block as the pool reads it. The view is made once per block: it keeps what it has looked up. */

import { fromHex, type Hex } from '../base/bytes.ts'
import type { Chain } from '../chain/chain.ts'
import { l1PricesOf, nextBaseFee } from '../chain/fees.ts'
import type { PoolHead } from './validate.ts'

type ChainReader = Pick<Chain, 'headRef' | 'blockByTag' | 'stateAt'>

/** For `new Mempool(options, { head: poolHeadOf(chain), ... })`. */
export function poolHeadOf(chain: ChainReader): () => PoolHead {
  let known: { readonly hash: Hex; readonly head: PoolHead } | undefined
  return () => {
    const { hash } = chain.headRef('unsafe')
    if (known?.hash !== hash) known = { hash, head: read(chain, hash) }
    return known.head
  }
}

function read(chain: ChainReader, hash: Hex): PoolHead {
  const view = chain.stateAt(hash)
  const { header } = view
  return {
    gasLimit: header.gasLimit,
    baseFee: nextBaseFee(header),
    l1Prices: l1PricesOf((address, key) => fromHex(view.storage(address, key))),
    account: (address) => view.account(address),
    code: (address) => view.code(address),
  }
}
