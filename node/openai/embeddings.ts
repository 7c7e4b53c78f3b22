/**
 * `/v1/embeddings`: the vector of a text by the resident base: the mean of its rows after the final norm, of length one,
 * to the bit the same on every machine (`Model.embed`). No receipt covers it and nobody is paid for it, so it is for callers
 * on the node's own machine.
 */
import { userError } from '../base/errors.ts'
import type { Body } from '../model/openai-http.ts'
import type { InferenceService } from '../model/serve.ts'
import { invalid, stringField } from './fields.ts'
import { promptOf } from './question.ts'

const INPUTS_MAX = 256

/** @throws NodeError `model-unknown`, `not-local`, `invalid-value`, `context-length` */
export async function embeddings(
  body: Body,
  service: InferenceService,
  isLocal: boolean,
): Promise<object> {
  const { library } = service
  const model = stringField(body, 'model')
  if (model !== library.base.name) {
    const why = `embeddings are those of the base, '${library.base.name}'; '${model}' is not it`
    throw userError('model-unknown', why, { param: 'model' })
  }
  if (!isLocal) {
    const why = "embeddings are for callers on the node's own machine: no receipt covers them"
    throw userError('not-local', why)
  }
  const { hidden_size: dimensions } = library.base.model.config
  if ((body.dimensions ?? dimensions) !== dimensions)
    throw invalid('dimensions', `'dimensions' is ${body.dimensions}; the base has ${dimensions}`)
  const format = body.encoding_format ?? 'float'
  if (format !== 'float' && format !== 'base64')
    throw invalid('encoding_format', `'encoding_format' is '${format}'; 'float' or 'base64'`)
  const inputs = inputsOf(body.input).map((input) => service.promptIds(input))
  const vectors = await Promise.all(inputs.map((ids) => library.embed(ids)))
  const tokens = inputs.reduce((sum, { length }) => sum + length, 0)
  return {
    object: 'list',
    model,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: format === 'float' ? [...vector] : base64Of(vector),
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}

/** One text or list of ids, or several. */
function inputsOf(input: unknown): (string | readonly number[])[] {
  const isMany = Array.isArray(input) && typeof input[0] !== 'number'
  const inputs = isMany ? input : [input]
  if (inputs.length === 0 || inputs.length > INPUTS_MAX)
    throw invalid('input', `'input' has ${inputs.length} texts; 1 to ${INPUTS_MAX}`)
  return inputs.map((one) => promptOf(one, 'input'))
}

/** f32 little-endian, as OpenAI's clients read it. */
function base64Of(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
