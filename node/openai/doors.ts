/**
 * The inference doors of one node, wired: the same handler behind HTTP and behind the peer protocol, and the way out to
 * other providers. A question from a peer is answered here or not at all: nothing is passed on twice.
 */
import type { Log } from '../base/log.ts'
import type { Asked } from '../model/openai-http.ts'
import type { ModelServices } from '../model/services.ts'
import type { ForwardModules } from './forward.ts'
import { answerPeers, type Handler } from './peer.ts'
import { createOpenAiHandler } from './route.ts'

export type InferenceDoors = {
  /** Everything below `/v1` but files and fine-tuning. */
  readonly handle: Handler
  /** null on a node without a provider's key. */
  readonly answerPeers: ReturnType<typeof answerPeers> | null
}

export function openInferenceDoors(modules: {
  readonly models: ModelServices
  readonly log: Log
  readonly ask: ForwardModules['ask']
  readonly isOperator: (req: Asked) => boolean
}): InferenceDoors {
  const { models, log, ask, isOperator } = modules
  const { catalogue, providers } = models
  const service = models.provider?.service ?? null
  const own = { catalogue, service, log, forward: null }
  const forward = { providers, log: log.child('forward'), now: Date.now, ask }
  return {
    handle: createOpenAiHandler({ ...own, forward, isOperator }),
    answerPeers: service && answerPeers(createOpenAiHandler(own)),
  }
}
