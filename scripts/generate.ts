/**
 * Answers a file of prompts with a model from plain files, so that anyone can compare us with peers. In: rows
 * `{id, tokens}` or `{id, text}`, each with an `adapter` (a PEFT directory) of its own if it likes; token ids win and
 * nothing is added to them. Out: `{id, tokens, text}` in the same order, the new tokens only; `text` is null when
 * the model has no tokenizer. Rows run together, whatever their adapters, and have the bytes they have alone.
 */
import { open, rename, rm } from 'node:fs/promises'
import { type Answer, Engine, Model, type Precision } from '../native/index.ts'
import { messageOf, userError } from '../node/base/errors.ts'
import { readRows, type TextRow } from './rows.ts'

export type GenerateJob = {
  readonly base: string
  /** For rows that name none. */
  readonly adapter?: string | undefined
  readonly prompts: string
  readonly out: string
  readonly maxNew: number
  readonly precision?: Precision | undefined
}

/** Rows read ahead of the one whose answer is written next. */
const AHEAD_MAX = 256

type Done = { rows: number; tokens: number }

/** Writes the answers; the file appears as a whole or not at all. @throws NodeError, NativeError */
export async function generateFile(
  job: GenerateJob,
  told: (done: Done) => void = () => {},
): Promise<Done> {
  const model = await Model.load(job.base, { precision: job.precision ?? 'f32' })
  const engine = new Engine(model, { waitingPerPayerMax: AHEAD_MAX, waitingMax: AHEAD_MAX })
  const partial = `${job.out}.partial`
  const done = { rows: 0, tokens: 0 }
  const out = await open(partial, 'w')
  try {
    for await (const { id, tokens } of answers(engine, job)) {
      const text = model.hasTokenizer ? model.decode(tokens) : null
      await out.writeFile(`${JSON.stringify({ id, tokens: [...tokens], text })}\n`)
      done.rows += 1
      done.tokens += tokens.length
      told(done)
    }
    await out.sync()
    await rename(partial, job.out)
    return done
  } finally {
    await engine.close(false)
    await out.close()
    await rm(partial, { force: true })
  }
}

type Row = { readonly id: string | number; readonly tokens: Uint32Array }

/** Answers in the order of the rows; many are under way at once. */
async function* answers(engine: Engine, job: GenerateJob): AsyncGenerator<Row> {
  /** Names of the directories in use. */
  const known = new Map<string, string>()
  const underWay: Promise<Row>[] = []
  for await (const prompt of readRows(job.prompts, engine.model)) {
    const directory = prompt.adapter ?? job.adapter
    let name = directory === undefined ? null : known.get(directory)
    if (name === undefined) {
      name = `adapter ${known.size}`
      known.set(directory as string, name)
      engine.register(name, directory)
    }
    const row = answer(engine, name, prompt, job.maxNew)
    // Whoever awaits it later hears of a failure; until then nobody does.
    row.catch(() => {})
    underWay.push(row)
    if (underWay.length === AHEAD_MAX) yield await (underWay.shift() as Promise<Row>)
  }
  for (const row of underWay) yield await row
}

async function answer(
  engine: Engine,
  adapter: string | null,
  { id, tokens: prompt }: TextRow,
  maxTokens: number,
): Promise<Row> {
  try {
    const made: Answer = await engine.generate({ prompt, maxTokens, adapter, trace: false })
    return { id, tokens: made.tokens }
  } catch (error) {
    throw userError('prompts', `row ${JSON.stringify(id)}: ${messageOf(error)}`)
  }
}
