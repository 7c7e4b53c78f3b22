/** x402 of one node, wired: the facilitator acts with the provider's account, and answers can be paid by it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import type { Signer } from '../keys/signer.ts'
import type { NodeAccount } from '../model/account.ts'
import type { Registry } from '../model/registry.ts'
import type { InferenceService } from '../model/serve.ts'
import { Facilitator } from './facilitator.ts'
import { createX402Handler } from './http.ts'
import { FACILITATOR_DEFAULTS } from './options.ts'
import { Till } from './till.ts'
import { payByX402 } from './way.ts'

export type X402Modules = {
  readonly chain: Chain
  readonly account: NodeAccount
  /** The account's. */
  readonly signer: Signer
  readonly service: InferenceService
  readonly registry: Registry
  readonly log: Log
}

export type X402 = {
  readonly facilitator: Facilitator
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
}

export function openX402(modules: X402Modules): X402 {
  const { chain, account, service, registry } = modules
  const log = modules.log.child('x402')
  const chainId = chain.config.l2ChainId
  const facilitator = new Facilitator(FACILITATOR_DEFAULTS, {
    chain,
    chainId,
    account,
    log,
    now: Date.now,
  })
  const till = new Till({ chain, account, log, included: (hash) => facilitator.included(hash) })
  service.addWayOfPaying(
    payByX402({
      facilitator,
      till,
      signer: modules.signer,
      domain: { chainId, verifyingContract: OPENLEDGER.inferenceEscrow },
      escrow: (payer, provider, session) => registry.escrow(payer, provider, session),
    }),
  )
  return { facilitator, handle: createX402Handler({ facilitator, log }) }
}
