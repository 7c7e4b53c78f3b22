/** The facilitator of one node, wired: it acts with the provider's account. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import type { NodeAccount } from '../model/account.ts'
import { Facilitator } from './facilitator.ts'
import { createX402Handler } from './http.ts'
import { FACILITATOR_DEFAULTS } from './options.ts'

export type X402 = {
  readonly facilitator: Facilitator
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
}

export function openX402(modules: { chain: Chain; account: NodeAccount; log: Log }): X402 {
  const { chain, account } = modules
  const log = modules.log.child('x402')
  const chainId = chain.config.l2ChainId
  const facilitator = new Facilitator(FACILITATOR_DEFAULTS, {
    chain,
    chainId,
    account,
    log,
    now: Date.now,
  })
  return { facilitator, handle: createX402Handler({ facilitator, log }) }
}
