/**
 * SmolLM2 chats with three adapters of three Datanets, all in one batch, as a user of the command line has it; then
 * transformers and peft answer the same with the same adapter directories. Greedy answers have to be equal.
 *
 *   rows of three Datanets -> openledger train (three times) -> openledger generate (base and adapters together, f32)
 *                                      \-> peft, one adapter after another, f32 -> token for token
 *
 *   node test/conformance/chat.ts [--new N] [--rows N] [--question TEXT] [--python PYTHON] [--cache DIR]
 *
 * A Datanet's rows are paragraphs of one president (`scripts/devnet/sotu.ts`). Without --python torch, transformers and
 * peft come from PyPI into the cache (some gigabytes).
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Template } from '@huggingface/jinja'
import { Model } from '../../native/index.ts'
import { pythonOf, type Venv } from '../../scripts/bench/python.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'

const { values: flags } = parseArgs({
  options: {
    new: { type: 'string', default: '48' },
    rows: { type: 'string', default: '8' },
    question: { type: 'string', default: 'What should the nation do in the coming year?' },
    python: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
const VENV: Venv = {
  name: 'chat',
  requirements: ['torch==2.15.0', 'transformers==5.24.0', 'peft==0.21.2', 'gguf', 'accelerate'],
}
/** Presidents whose rows are the three Datanets: their places in the order of time. */
const DATANETS = [0, 15, 31]
/** Enough to change what the base says, a minute of work. */
const TRAINING = '--rank 8 --targets q_proj,v_proj --epochs 8 --max-tokens 64 --rate 0.003'
const COMMAND = resolve(import.meta.dirname, '../../scripts/openledger.mjs')

type Answer = { id: string; tokens: number[]; text: string }

const openledger = (...line: string[]): string =>
  execFileSync(process.execPath, [COMMAND, ...line], { encoding: 'utf8' })
const writeRows = (path: string, rows: readonly unknown[]): void =>
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

mkdirSync(flags.cache, { recursive: true })
const work = mkdtempSync(join(tmpdir(), 'openledger-chat-'))
try {
  const python = flags.python ?? (await pythonOf(VENV, flags.cache))
  const fetched = openledger('model', 'fetch', 'smollm2-135m', '--cache', flags.cache, '--json')
  const base = (JSON.parse(fetched) as { path: string }).path

  const authors = loadAuthors(Number(flags.rows))
  const adapters = DATANETS.map((place) => {
    const { name, rows } = authors[place] as (typeof authors)[number]
    const [train, out] = [join(work, `${place}.jsonl`), join(work, `adapter-${place}`)]
    writeRows(
      train,
      rows.map(({ text }, id) => ({ id, contributor: name, text })),
    )
    const said = openledger(
      ...['train', '--base', base, '--train', train, '--out', out, '--no-checkpoints'],
      ...TRAINING.split(' '),
    )
    process.stdout.write(`${name}: ${said}`)
    return { id: name, adapter: out }
  })

  const model = await Model.load(base)
  const template = new Template(model.chatTemplate ?? '')
  const messages = [{ role: 'user', content: flags.question }]
  const text = template.render({ messages, add_generation_prompt: true })
  const tokens = [...model.encode(text)]
  const asked = [{ id: 'the base', adapter: undefined }, ...adapters]
  const [prompts, out] = [join(work, 'in.jsonl'), join(work, 'out.jsonl')]
  writeRows(
    prompts,
    asked.map((row) => ({ ...row, tokens })),
  )
  process.stdout.write(
    openledger(
      ...['generate', '--base', base, '--prompts', prompts, '--out', out],
      ...['--max-new', flags.new, '--greedy', '--precision', 'f32'],
    ),
  )
  const ours = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((row) => JSON.parse(row) as Answer)

  const script = join(import.meta.dirname, 'chat.py')
  const theirs = join(work, 'theirs.json')
  const line = [dirname(base), basename(base), prompts, flags.question, flags.new, theirs]
  execFileSync(python, [script, ...line], {
    env: { ...process.env, TQDM_DISABLE: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const peft = JSON.parse(readFileSync(theirs, 'utf8')) as {
    prompt: number[]
    answers: number[][]
  }

  let [equal, same, all] = [0, 0, 0]
  for (const [i, { id, tokens: mine, text }] of ours.entries()) {
    const other = peft.answers[i] ?? []
    const parted = other.findIndex((token, at) => token !== mine[at])
    const agreed = parted < 0 ? other.length : parted
    equal += agreed === other.length && mine.length === other.length ? 1 : 0
    same += agreed
    all += other.length
    process.stdout.write(`${id}: ${agreed} of ${other.length} tokens as peft has them\n  ${text}\n`)
  }
  const different = new Set(ours.map((answer) => answer.text)).size
  const isSamePrompt = peft.prompt.join() === tokens.join()
  process.stdout.write(
    `prompt of ${tokens.length} tokens by the chat template ${isSamePrompt ? 'equal' : 'DIFFERS'}; greedy answers equal ${equal} of ${ours.length}, ${same} of ${all} tokens; ${different} different answers\n`,
  )
  const isGood = equal === asked.length && different === asked.length && isSamePrompt
  process.exitCode = isGood ? 0 : 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
