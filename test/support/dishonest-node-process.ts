/**
 * The node's own program with an engine that misbehaves as the environment says, and nothing else changed. Only for tests of what
 * others make of it:
 *
 *   CHANGE_TOKEN=3   the fourth token of every answer is another than the one that was computed
 *   HOLD_AFTER=2     an answer stops after two tokens and never ends
 *   WEIGHTS=dir      all is computed with the weights there, in the name of the base it should be
 */
import { Engine, Model } from '../../native/index.ts'

const { CHANGE_TOKEN, HOLD_AFTER, WEIGHTS } = process.env
const generate = Engine.prototype.generate

Engine.prototype.generate = async function (request, onToken, signal) {
  const maxTokens = HOLD_AFTER ? Number(HOLD_AFTER) : request.maxTokens
  const answer = await generate.call(this, { ...request, maxTokens }, onToken, signal)
  if (HOLD_AFTER) await new Promise<never>(() => {})
  const tokens = answer.tokens.slice()
  const at = Number(CHANGE_TOKEN)
  if (at < tokens.length) tokens[at] = (tokens[at] as number) ^ 1
  return { ...answer, tokens }
}

if (WEIGHTS) {
  const load = Model.load
  Model.load = (_dir, options) => load.call(Model, WEIGHTS, options)
}

await import('../../scripts/cli/main.ts')
