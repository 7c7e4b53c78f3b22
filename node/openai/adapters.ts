/**
 * `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`, as vLLM has them: an adapter beside the registered ones, by PEFT
 * directory on the node's machine or by content hash (from peers); or a registered model, brought into memory and kept
 * there. They change what the node holds, so they are for whoever sits at it or has the operator's token.
 * https://docs.vllm.ai/en/latest/features/lora.html
 */
import { userError } from '../base/errors.ts'
import type { Body } from '../model/openai-http.ts'
import type { InferenceService } from '../model/serve.ts'
import { invalid, stringField } from './fields.ts'

const NAME = /^[\w.:/@-]{1,128}$/

/** The text vLLM answers with. @throws NodeError */
export async function loadAdapter(body: Body, service: InferenceService): Promise<string> {
  const name = nameOf(body)
  const path = body.lora_path
  const record = await service.find(name)
  if (record) {
    if (path !== undefined && path !== record.adapterHash)
      throw invalid(
        'lora_path',
        `'${name}' is a registered model with adapter ${record.adapterHash}; leave lora_path out`,
      )
    await service.library.pin(record, true)
    return `Success: LoRA adapter '${name}' added successfully.`
  }
  if (name === service.library.base.name) throw invalid('lora_name', `'${name}' is the base model`)
  await service.library.loadLocal(name, stringField(body, 'lora_path'))
  return `Success: LoRA adapter '${name}' added successfully.`
}

/** @throws NodeError `model-unknown` */
export async function unloadAdapter(body: Body, service: InferenceService): Promise<string> {
  const name = nameOf(body)
  const done = `Success: LoRA adapter '${name}' removed successfully.`
  if (service.library.unloadLocal(name)) return done
  const record = await service.find(name)
  if (!record) {
    throw userError('model-unknown', `no LoRA adapter '${name}' is loaded`, { param: 'lora_name' })
  }
  await service.library.pin(record, false)
  return done
}

function nameOf(body: Body): string {
  const name = stringField(body, 'lora_name')
  if (NAME.test(name)) return name
  throw invalid(
    'lora_name',
    `'lora_name' is ${JSON.stringify(name)}; up to 128 of letters, digits and . _ : / @ -`,
  )
}
