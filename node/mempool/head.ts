/** The newest block as the pool reads it. The view is made once per block: it keeps what it has looked up. */

import { fromHex, type Hex } from '../base/bytes.ts'
import type { Chain } from '../chain/chain.ts'
import { type ChainRules, rulesAfter } from '../chain/rules.ts'
import type { PoolHead } from './validate.ts'

type ChainReader = Pick<Chain, 'headRef' | 'stateAt'> & { readonly rules: ChainRules }

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
  const rules = rulesAfter(chain.rules, header)
  return {
    rules,
    gasLimit: header.gasLimit,
    baseFee: chain.rules.nextBaseFee(header) ?? 0n,
    l1Prices: rules.l1Prices((address, key) => fromHex(view.storage(address, key))),
    account: (address) => view.account(address),
    code: (address) => view.code(address),
  }
}
