/**
 * Answers a file of prompts with a model from plain files, so that anyone can compare us with peers. In: rows
 * `{id, tokens}` or `{id, text}`; token ids win and nothing is added to them. Out: `{id, tokens, text}`
 * in the same order, the new tokens only; `text` is null when the model has no tokenizer.
 */
import { open, rename, rm } from 'node:fs/promises'
import { Adapter, type Answer, type GenerateOptions, generate, Model } from '../native/index.ts'
import { messageOf, userError } from '../node/base/errors.ts'
import { readRows } from './rows.ts'

export type GenerateJob = {
  readonly base: string
  readonly adapter?: string | undefined
  readonly prompts: string
  readonly out: string
  readonly maxNew: number
}

/** Writes the answers; the file appears as a whole or not at all. @throws NodeError, NativeError */
export async function generateFile(job: GenerateJob): Promise<{ rows: number; tokens: number }> {
  const model = await Model.load(job.base)
  const adapter = job.adapter === undefined ? null : await Adapter.load(model, job.adapter)
  const partial = `${job.out}.partial`
  const done = { rows: 0, tokens: 0 }
  const out = await open(partial, 'w')
  try {
    for await (const { id, tokens: prompt } of readRows(job.prompts, model)) {
      const { tokens } = await answer(model, adapter, id, { prompt, maxTokens: job.maxNew })
      const text = model.hasTokenizer ? model.decode(tokens) : null
      await out.writeFile(`${JSON.stringify({ id, tokens: [...tokens], text })}\n`)
      done.rows += 1
      done.tokens += tokens.length
    }
    await out.sync()
    await rename(partial, job.out)
    return done
  } finally {
    await out.close()
    await rm(partial, { force: true })
  }
}

async function answer(
  model: Model,
  adapter: Adapter | null,
  id: string | number,
  options: GenerateOptions,
): Promise<Answer> {
  try {
    return await generate(model, adapter, options)
  } catch (error) {
    throw userError('prompts', `row ${JSON.stringify(id)}: ${messageOf(error)}`)
  }
}
