import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { mergeAdapters } from '../../../node/factory/merge.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../../node/factory/safetensors.ts'
import { openWorld, TINY } from '../../support/factory.ts'
import { models } from '../../support/model.ts'

const NAME = 'base_model.model.model.layers.0.self_attn.q_proj'

function adapterAt(dir: string, rank: number, alpha: number, a: number[], b: number[]): string {
  mkdirSync(dir, { recursive: true })
  const config = { r: rank, lora_alpha: alpha, target_modules: ['q_proj'] }
  writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify(config))
  const tensors = new Map<string, Tensor>([
    [`${NAME}.lora_A.weight`, { shape: [rank, 2], data: Float32Array.from(a) }],
    [`${NAME}.lora_B.weight`, { shape: [2, rank], data: Float32Array.from(b) }],
  ])
  writeFileSync(join(dir, 'adapter_model.safetensors'), encodeTensors(tensors))
  return dir
}

/** scale * B A, row-major 2 x 2. */
function update(dir: string): number[] {
  const { r, lora_alpha: alpha } = JSON.parse(
    readFileSync(join(dir, 'adapter_config.json'), 'utf8'),
  )
  const tensors = decodeTensors(readFileSync(join(dir, 'adapter_model.safetensors')))
  const a = tensors.get(`${NAME}.lora_A.weight`)?.data as Float32Array
  const b = tensors.get(`${NAME}.lora_B.weight`)?.data as Float32Array
  return [0, 1, 2, 3].map((at) => {
    const [i, j] = [at >> 1, at & 1]
    let sum = 0
    for (let k = 0; k < r; k++) sum += (b[i * r + k] as number) * (a[k * 2 + j] as number)
    return (alpha / r) * sum
  })
}

t.test('a merge is the weighted sum of the updates, whatever the ranks and scales', async (t) => {
  const dir = t.testdir()
  const one = adapterAt(join(dir, 'one'), 1, 2, [1, 2], [3, 4])
  const two = adapterAt(join(dir, 'two'), 2, 2, [1, 0, 0, 1], [1, 2, 3, 4])
  const parents = [
    { dir: one, weight: 0.5 },
    { dir: two, weight: -2 },
  ]
  await mergeAdapters(parents, { dir: join(dir, 'merged'), baseName: 'base' })
  const [first, second] = [update(one), update(two)]
  t.same(first, [6, 12, 8, 16])
  const expected = first.map((x, i) => 0.5 * x - 2 * (second[i] as number))
  t.same(update(join(dir, 'merged')), expected)
  const big = adapterAt(join(dir, 'big'), 256, 1, Array(512).fill(0), Array(512).fill(0))
  const tooBig = mergeAdapters(
    [
      { dir: big, weight: 1 },
      { dir: one, weight: 1 },
    ],
    {
      dir: join(dir, 'x'),
      baseName: '',
    },
  )
  await t.rejects(tooBig, { code: 'merge', message: /add up to 257; at most 256/ })
})

t.test('tensors come back as they were; other bytes are refused by name', (t) => {
  const tensor = fc
    .array(fc.float(), { maxLength: 12 })
    .map((data) => ({ shape: [data.length], data: Float32Array.from(data) }))
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), tensor), (given) => {
      const entries = Object.entries(given).filter(([name]) => name !== '__metadata__')
      const decoded = decodeTensors(encodeTensors(new Map(entries)))
      return entries.every(([name, { data }]) =>
        Buffer.from((decoded.get(name) as Tensor).data.buffer).equals(Buffer.from(data.buffer)),
      )
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeTensors(bytes)
        return true
      } catch (error) {
        return (error as { code?: string }).code === 'safetensors'
      }
    }),
  )
  t.end()
})

t.test('models are continued and merged by jobs, with royalties for those before', async (t) => {
  const world = await openWorld(t)
  const { factory } = world
  world.worker('one').start()
  const trained = async (request: Parameters<typeof world.submit>[0]) => {
    const { id, manifest } = await world.submit(request)
    await factory.submit(manifest)
    const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
    t.equal(job.error, null, manifest.name)
    return job
  }
  const first = await trained({ name: 'first' })
  const parent = { model: first.modelId as `0x${string}` }
  const second = await trained({ name: 'second', parents: [parent], seed: 9 })
  t.not(second.result?.adapterHash, first.result?.adapterHash)
  const [start, fresh] = [second.points[0]?.[1] ?? 0, first.points[0]?.[1] ?? 0]
  t.ok(start < fresh, 'it begins where its parent ended')
  const both = [parent, { model: second.modelId as `0x${string}` }]
  const merged = await trained({ name: 'merged', parents: both, datanets: [] })
  t.same(merged.points, [], 'nothing is trained')
  const royalties = await world.economy.read<{ part: bigint }[]>(models, 'royaltiesOf', [
    merged.modelId,
  ])
  t.same(
    royalties.map(({ part }) => part),
    [156_250_000n, 93_750_000n],
  )
  const edges = await world.economy.read<{ kind: number }[]>(models, 'lineageOf', [merged.modelId])
  t.same(
    edges.map(({ kind }) => kind),
    [1, 2, 2, 0],
  )
  const another = world.submit({ parents: [parent], lora: { ...TINY.lora, rank: 3 } })
  const { id, manifest } = await another
  await factory.submit(manifest)
  const refused = await world.until(id, ({ state }) => state === 'failed')
  t.match(refused.error, { code: 'NATIVE_BAD_INPUT', message: /go on from/ })
})
