/** Models asked in this process, as the tools ask them. */
import { userError } from '../base/errors.ts'
import type { InferenceService } from '../model/serve.ts'
import type { Ask } from './types.ts'

/** @param service null on a node without a provider's key */
export function askService(service: InferenceService | null): Ask {
  return async ({ model, prompt, maxTokens, temperature, seed, signal }) => {
    if (!service)
      throw userError('not-provider', 'this node serves no models: it has no provider key')
    const sampler = { maxTokens, temperature, topP: 1, stop: service.stopTokens }
    const question = { model, text: prompt, sampler, ...(seed === undefined ? {} : { seed }) }
    return service.answer(question, undefined, signal)
  }
}
