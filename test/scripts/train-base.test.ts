import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Model } from '../../native/index.ts'
import {
  type BaseRecipe,
  differences,
  readChapters,
  trainFromRecipe,
  trainingText,
} from '../../scripts/train-base.ts'
import { TINY_CONFIG } from '../native/tiny.ts'

const home = join(import.meta.dirname, '../..')
const recipe = JSON.parse(
  readFileSync(join(home, 'native/models/base.recipe.json'), 'utf8'),
) as BaseRecipe

t.test('the recipe names the text that its package ships', (t) => {
  const chapters = readChapters(recipe)
  t.equal(chapters.length, 139)
  t.match(chapters[0], /Call me Ishmael/)
  const wrong = { ...recipe, text: { ...recipe.text, sha256: 'another' } }
  t.throws(() => readChapters(wrong), /SHA-256/)
  t.end()
})

t.test('chat turns of the text open and close in pairs', (t) => {
  const text = trainingText(readChapters(recipe).slice(0, 5), recipe)
  const count = (token: string): number => text.split(token).length - 1
  t.ok(count('<|im_start|>assistant\n') > 10)
  t.equal(count('<|im_start|>'), count('<|im_end|>'))
  t.end()
})

t.test('a tiny recipe trained twice gives the same directory, byte for byte', async (t) => {
  const tiny: BaseRecipe = {
    ...recipe,
    tokenizer: { ...recipe.tokenizer, vocabulary: 300 },
    model: TINY_CONFIG,
    training: { ...recipe.training, window: 32, batch: 4, steps: 10 },
  }
  const chapters = readChapters(recipe).slice(0, 2)
  const dirs = [join(t.testdir(), 'a'), join(t.testdir(), 'b')] as const
  for (const dir of dirs) await trainFromRecipe(tiny, chapters, dir)
  t.strictSame(differences(...dirs), [])
  t.strictSame((await Model.load(dirs[0])).config.eos_token_ids, [2, 0])
})

t.test('the committed base is a chat model of about a million parameters', async (t) => {
  const dir = join(home, 'native/models/base')
  const model = await Model.load(dir)
  t.ok(model.config.parameters > 1e6 && model.config.parameters < 1.5e6)
  t.strictSame(model.encode('<|im_start|>hi<|im_end|>').length >= 3, true)
  const config = JSON.parse(readFileSync(join(dir, 'tokenizer_config.json'), 'utf8')) as {
    chat_template: string
  }
  t.match(config.chat_template, /im_start/)
})
