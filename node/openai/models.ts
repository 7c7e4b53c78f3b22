/**
 * `/v1/models`: what can be asked for by name, in OpenAI's form with vLLM's `root` (the artefact) and `parent` (the base)
 * and the price of a token. The base and adapters that an operator brought are listed to callers on this machine, who alone may ask them.
 */
import { userError } from '../base/errors.ts'
import type { ModelRecord } from '../model/registry.ts'
import type { InferenceService } from '../model/serve.ts'

export async function listModels(service: InferenceService, isLocal: boolean): Promise<object> {
  const registered = (await service.models()).map((model) => registeredObject(model, service))
  return { object: 'list', data: isLocal ? [...registered, ...localObjects(service)] : registered }
}

/** @throws NodeError `model-unknown` */
export async function retrieveModel(
  service: InferenceService,
  name: string,
  isLocal: boolean,
): Promise<object> {
  const found = await service.find(name)
  if (found) return registeredObject(found, service)
  const local = isLocal && localObjects(service).find(({ id }) => id === name)
  if (local) return local
  throw userError('model-unknown', `no model '${name}' is registered; see /v1/models`, {
    param: 'model',
  })
}

function registeredObject(model: ModelRecord, { library }: InferenceService) {
  const { base } = library
  return {
    id: model.name,
    object: 'model',
    // The registry keeps no time; clients want a number.
    created: 0,
    owned_by: model.owner,
    root: model.adapterHash,
    parent: model.baseHash === base.hash ? base.name : model.baseHash,
    price: {
      input: model.rateIn.toString(),
      output: model.rateOut.toString(),
      unit: 'wei of OPEN per token',
    },
    ...(model.baseHash === base.hash && {
      max_model_len: base.model.config.max_position_embeddings,
    }),
    openledger: {
      modelId: model.id,
      baseHash: model.baseHash,
      adapterHash: model.adapterHash,
      manifestHash: model.manifestHash,
      datanets: model.datanetIds.map((id, i) => `${id}:${model.versions[i]}`),
    },
  }
}

function localObjects({ library }: InferenceService) {
  const { base, local } = library
  const common = {
    object: 'model',
    created: 0,
    owned_by: 'operator',
    price: { input: '0', output: '0', unit: 'wei of OPEN per token' },
    max_model_len: base.model.config.max_position_embeddings,
  }
  const adapters = [...local.values()].map(({ name, source }) => ({
    id: name,
    ...common,
    root: source,
    parent: base.name as string | null,
  }))
  return [{ id: base.name, ...common, root: base.hash as string, parent: null }, ...adapters]
}
