import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCall } from '../../scripts/cli/command.ts'
import { trainAdapter } from '../../scripts/commands/train.ts'
import { splitEvenly } from '../../scripts/train.ts'
import { tinyModel, tinySamples } from '../native/tiny.ts'

const root = t.testdir()
const base = join(root, 'base')
const model = await tinyModel(base)
const train = join(root, 'train.jsonl')
const rows = tinySamples(model, 12).map(({ tokens }, id) => ({ id, tokens: [...tokens] }))
writeFileSync(train, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

const run = (out: string, ...more: string[]): Promise<unknown> => {
  const line = ['--base', base, '--train', train, '--out', join(root, out), '--rank', '2']
  return trainAdapter.run(readCall(trainAdapter, [...line, '--batch', '2', ...more], {}))
}
const weights = (dir: string): Buffer => readFileSync(join(root, dir, 'adapter_model.safetensors'))

t.test('a run leaves an adapter and one per epoch, and goes on to the same bytes', async (t) => {
  await run('a', '--epochs', '3')
  t.same(weights('a/checkpoint-18'), weights('a'))
  t.ok(existsSync(join(root, 'a/checkpoint-6/adapter_config.json')))
  rmSync(join(root, 'a/adapter_model.safetensors'))
  const want = weights('a/checkpoint-18')
  await run('a', '--epochs', '3', '--resume')
  t.same(weights('a'), want)
  await t.rejects(run('a', '--epochs', '4', '--resume'), { message: /belongs to another run/ })
  await t.resolves(run('b', '--epochs', '1', '--no-checkpoints'))
  t.notOk(existsSync(join(root, 'b/checkpoint-6')))
})

t.test('a directory that is not empty is kept unless --resume or --force is given', async (t) => {
  const before = weights('b')
  await t.rejects(run('b', '--epochs', '2'), { message: /not empty; .*--resume .*--force/ })
  await t.rejects(run('b', '--resume'), { message: /holds an adapter and no checkpoint/ })
  writeFileSync(join(root, 'file'), '')
  await t.rejects(run('file', '--force'), { message: /is there and is no directory/ })
  t.same(weights('b'), before)
  await run('b', '--epochs', '2', '--force')
  t.notOk(weights('b').equals(before))
  // Another run's checkpoints do not stay beside those of this one, and rows that cannot be read cost none.
  await t.rejects(run('b', '--epochs', '1', '--force', '--train', join(root, 'none')))
  t.ok(existsSync(join(root, 'b/checkpoint-12')))
  await run('b', '--epochs', '1', '--force')
  t.ok(existsSync(join(root, 'b/checkpoint-6')))
  t.notOk(existsSync(join(root, 'b/checkpoint-12')))
})

t.test('accumulated batches have the bytes of a large one', async (t) => {
  await run('c', '--batch', '6')
  await run('d', '--batch', '2', '--accumulate', '3')
  t.same(weights('d'), weights('c'))
})

t.test('a part set apart is spread evenly and evaluated', async (t) => {
  const ids = Array.from({ length: 12 }, (_, i) => i)
  t.same(splitEvenly(ids, 0.25).evaluation, [3, 7, 11])
  t.same(splitEvenly(ids, 0).samples, ids)
  await run('e', '--epochs', '2', '--evaluate-part', '0.25', '--patience', '1')
  t.ok(existsSync(join(root, 'e/adapter_model.safetensors')))
})

t.test('what cannot be trained is refused with its value', async (t) => {
  for (const [flags, says] of [
    [['--rank', '0'], /--rank is '0'; it must be a whole number from 1 to 256/],
    [['--targets', 'q_proj,lm_head'], /LoRA target lm_head; known are q_proj/],
    [['--optimizer', 'lion'], /must be adamw or sgd/],
    [['--rate', 'fast'], /--rate is 'fast'/],
    [['--patience', '2'], /patience 2 needs evaluation samples/],
    [['--evaluate-part', '1'], /must be below 1/],
  ] as const) {
    await t.rejects(run('f', ...flags), { message: says })
  }
  t.notOk(existsSync(join(root, 'f')))
})
