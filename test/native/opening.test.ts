import { join } from 'node:path'
import t from 'tap'
import {
  generate,
  openingOutputs,
  openOperators,
  openTile,
  openTiles,
  trainLora,
} from '../../native/index.ts'
import { decodeTile, decodeTiles, encodeTile } from '../../node/attribution/opening.ts'
import { toHex } from '../../node/base/bytes.ts'
import { merkleRoot } from '../../node/base/merkle.ts'
import { entryOf } from '../../node/model/pass.ts'
import { workDir } from '../support/dir.ts'
import { TINY_LORA, tinyModel, tinySamples } from './tiny.ts'

t.test('an answer is opened from operators to values, each under what came before', async (t) => {
  const dir = workDir(t)
  const model = await tinyModel(join(dir, 'model'))
  const samples = tinySamples(model, 8)
  const { adapter } = await trainLora(model, { samples, config: TINY_LORA }, join(dir, 'adapter'))
  const prompt = model.encode('The 3 whales of the')
  const { tokens: answer, trace } = await generate(model, adapter, {
    prompt,
    maxTokens: 20,
    stop: [],
  })
  const claimed = { prompt, answer }
  const outputs = openingOutputs(model, claimed)
  const names = outputs.map(({ layer, name }) => (layer === null ? name : `${layer} ${name}`))
  t.same(
    [names[0], names[2], names[17], names.length],
    ['embed_tokens', '0 q_proj', '1 q_proj', 34],
  )
  t.same(names.slice(-3), ['norm', 'lm_head', 'leaves'])
  const roots = await openOperators(model, adapter, claimed)
  t.equal(roots.length, outputs.length)
  t.equal(toHex(roots.at(-1) as Uint8Array), toHex(merkleRoot(trace)), 'it ends in the trace')
  const bare = await openOperators(model, null, claimed)
  const parts = roots.findIndex((root, i) => toHex(root) !== toHex(bare[i] as Uint8Array))
  t.equal(names[parts], '0 q_proj', 'where the adapter comes in')

  const operator = outputs.length - 2
  const head = outputs[operator] as (typeof outputs)[number]
  t.match(head, { first: prompt.length - 1, rows: 20, columns: 300, tiles: 10 })
  const tiles = await openTiles(model, adapter, { ...claimed, operator })
  const root = roots[operator] as Uint8Array
  t.same(decodeTiles(Buffer.concat(tiles), { root, count: head.tiles }), tiles)
  // The last: 4 rows of 44 columns.
  const values = await openTile(model, adapter, { ...claimed, operator, tile: 9 })
  t.equal(values.length, 4 * 44)
  t.same(decodeTile(encodeTile(values), tiles[9] as Uint8Array), values)
  t.equal(decodeTile(encodeTile(values), tiles[8] as Uint8Array), null)
  t.same(entryOf(head, 9, 44 + 3), { row: prompt.length - 1 + 17, column: 256 + 3 })
})

t.test(
  'what is no place of an opening is refused, and a pass ends when its signal says so',
  async (t) => {
    const model = await tinyModel(join(workDir(t), 'model'))
    const claimed = { prompt: model.encode('The 3 whales'), answer: model.encode(' of the') }
    const bad = { code: 'NATIVE_BAD_INPUT' }
    await t.rejects(openTiles(model, null, { ...claimed, operator: 34 }), bad)
    await t.rejects(openTile(model, null, { ...claimed, operator: 0, tile: -1 }), bad)
    await t.rejects(openTile(model, null, { ...claimed, operator: 33, tile: 0 }), bad)
    await t.rejects(openOperators(model, null, { ...claimed, answer: new Uint32Array(0) }), bad)
    await t.rejects(openOperators(model, null, { ...claimed, answer: Uint32Array.of(300) }), bad)
    t.throws(() => openingOutputs(model, { ...claimed, prompt: new Uint32Array(5_000) }), bad)
    const ended = openOperators(model, null, claimed, AbortSignal.abort())
    await t.rejects(ended, { code: 'NATIVE_CANCELLED' })
  },
)
