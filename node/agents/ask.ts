/** Models asked in this process, as the tools ask them. */
import { userError } from '../base/errors.ts'
import type { InferenceService } from '../model/serve.ts'
import type { Ask } from './types.ts'

/** @param service null on a node without a provider's key */
export function askService(service: InferenceService | null): Ask {
  return async ({ model, prompt, maxTokens, temperature, seed, payment, isLocal, ...more }) => {
    if (!service)
      throw userError('not-provider', 'this node serves no models: it has no provider key')
    const { stopTokens: stop } = service.library.base
    const sampler = { maxTokens, temperature, topP: 1, stop }
    const question = { model, prompt, sampler, ...(seed === undefined ? {} : { seed }) }
    const { signal, parentAction } = more
    return service.answer(question, { caller: { headers: payment, isLocal }, signal, parentAction })
  }
}
