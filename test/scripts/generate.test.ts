import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Adapter, generate, trainLora } from '../../native/index.ts'
import { readCall } from '../../scripts/cli/command.ts'
import { generateAnswers } from '../../scripts/commands/generate.ts'
import { generateFile } from '../../scripts/generate.ts'
import { TINY_LORA, tinyModel, tinySamples } from '../native/tiny.ts'

const root = t.testdir()
const base = join(root, 'base')
const model = await tinyModel(base)
const prompts = join(root, 'in.jsonl')
const out = join(root, 'out.jsonl')
const text = 'The 3 whales of'
const ids = [...model.encode(text)]

const ask = (...lines: string[]): Promise<{ rows: number; tokens: number }> => {
  writeFileSync(prompts, `${lines.join('\n')}\n`)
  return generateFile({ base, prompts, out, maxNew: 6 })
}

t.test('each row is answered in order, by its tokens or else by its text', async (t) => {
  const done = await ask(
    JSON.stringify({ id: 'a', text }),
    '',
    JSON.stringify({ id: 7, tokens: ids, text: 'something else' }),
    JSON.stringify({ id: 'b', tokens: [1, 2, 3] }),
  )
  const rows = readFileSync(out, 'utf8').trimEnd().split('\n')
  const answers = rows.map((row) => JSON.parse(row))
  const { tokens } = await generate(model, null, { prompt: model.encode(text), maxTokens: 6 })
  t.strictSame(answers[0], { id: 'a', tokens: [...tokens], text: model.decode(tokens) })
  t.strictSame(answers[1], { ...answers[0], id: 7 })
  t.equal(answers[2].id, 'b')
  t.strictSame(done, { rows: 3, tokens: answers.flatMap((a) => a.tokens).length })
})

t.test(
  'rows with adapters of their own are answered together, each as if it were alone',
  async (t) => {
    const dirs = ['poet', 'clerk', 'sailor'].map((name) => join(root, name))
    for (const [i, dir] of dirs.entries()) {
      const samples = tinySamples(model, 12).slice(4 * i, 4 * i + 4)
      await trainLora(model, { samples, config: { ...TINY_LORA, learningRate: 0.05 } }, dir)
    }
    const rows = [undefined, ...dirs, dirs[0]].map((adapter, id) => ({ id, text, adapter }))
    await ask(...rows.map((row) => JSON.stringify(row)))
    const answers = readFileSync(out, 'utf8').trimEnd().split('\n')
    for (const [i, { adapter }] of rows.entries()) {
      const loaded = adapter === undefined ? null : await Adapter.load(model, adapter)
      const { tokens } = await generate(model, loaded, { prompt: model.encode(text), maxTokens: 6 })
      t.strictSame(JSON.parse(answers[i] ?? '').tokens, [...tokens], `row ${i}`)
    }
    await t.rejects(ask(JSON.stringify({ id: 0, text, adapter: join(root, 'none') })), {
      message: /row 0: .*none is not a directory/,
    })
    await t.rejects(ask(JSON.stringify({ id: 0, text, adapter: 7 })), {
      message: /line 1: adapter is not a string/,
    })
  },
)

t.test('a bad row is named by its line, and no file is left', async (t) => {
  for (const [row, says] of [
    ['{"id": 1, "tokens": [3, -1]}', /in\.jsonl line 2: token -1 is not an integer from 0 to 299/],
    ['{"id": 1, "tokens": [300]}', /token 300 is not an integer from 0 to 299/],
    ['{"id": 1, "tokens": ["3"]}', /token "3" is not an integer/],
    ['{"id": 1}', /has neither tokens \(a list\) nor text/],
    ['{"text": "a"}', /id is missing/],
    ['null', /id is missing/],
    ['{"id": ', /line 2: .*JSON/],
    ['{"id": 1, "tokens": []}', /row 1: /],
    [JSON.stringify({ id: 'long', tokens: Array(128).fill(1) }), /row "long": .*do not fit/],
  ] as const) {
    writeFileSync(out, 'before')
    await t.rejects(ask(JSON.stringify({ id: 0, tokens: ids }), row), { message: says })
    t.equal(readFileSync(out, 'utf8'), 'before')
    t.notOk(existsSync(`${out}.partial`))
  }
})

const run = async (line: readonly string[]): Promise<unknown> =>
  generateAnswers.run(readCall(generateAnswers, line, {}))

t.test('an answer file that is there is kept unless --force is given', async (t) => {
  writeFileSync(prompts, JSON.stringify({ id: 0, text }))
  writeFileSync(out, 'before')
  const line = ['--base', base, '--prompts', prompts, '--out', out, '--max-new', '2']
  await t.rejects(run(line), { message: /out\.jsonl exists; .*--force to overwrite/ })
  t.equal(readFileSync(out, 'utf8'), 'before')
  await t.rejects(run([...line, '--out', root, '--force']), { message: /is there and is no file/ })
  await run([...line, '--force'])
  t.equal(JSON.parse(readFileSync(out, 'utf8')).id, 0)
  rmSync(out)
})

t.test('a wrong command line says what it should be', async (t) => {
  const line = ['--base', base, '--prompts', prompts, '--out', out]
  await t.rejects(run(line), { message: /--max-new is missing/ })
  await t.rejects(run([...line, '--max-new', '0']), { message: /whole number from 1 to 999999/ })
  await t.rejects(run([...line, '--max-new', '1', '--precision', 'int4']), {
    message: /must be f32 or int8/,
  })
  await t.rejects(run([...line, '--max-new', '1', '--prompts', join(root, 'no')]), {
    message: /does not exist/,
  })
  await t.rejects(run([...line, '--max-new', '1', '--base', prompts]), {
    message: /neither a directory nor called \*\.gguf/,
  })
})
