import { renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Adapter, Engine, type GenerateOptions, generate, trainLora } from '../../native/index.ts'
import { TINY_LORA, tinyModel, tinySamples } from './tiny.ts'

const root = t.testdir()
const model = await tinyModel(join(root, 'model'))
const samples = tinySamples(model, 12)
const shapes = [
  { rank: 2, targets: ['q_proj', 'v_proj'] },
  { rank: 5, targets: ['o_proj', 'down_proj'] },
  { rank: 1 },
]
const adapters = await Promise.all(
  shapes.map((shape, i) => {
    const config = { ...TINY_LORA, ...shape, seed: BigInt(i), learningRate: 0.05 }
    return trainLora(model, { samples, config }, join(root, `a${i}`))
  }),
)
const request = (i: number): GenerateOptions => ({
  prompt: model.encode(`The ${i % 7} whales of the ${i % 3} seas swim`),
  maxTokens: 20 + i,
  temperature: i % 2 ? 0.8 : 0,
  seed: BigInt(i),
  stop: [],
})

t.test(
  'a crowd of requests over mixed adapters is batched, each with the bytes it has alone',
  async (t) => {
    const engine = new Engine(model, { fetchAdapter: async (name) => join(root, name) })
    engine.register('a0')
    engine.register('a1', join(root, 'a1'))
    engine.register('a2')
    const names = [null, 'a0', 'a1', 'a2']
    const all = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        engine.generate({ ...request(i), adapter: names[i % 4] ?? null, payer: `p${i % 3}` }),
      ),
    )
    for (const [i, made] of all.entries()) {
      const adapter = adapters[(i % 4) - 1]?.adapter ?? null
      t.strictSame(made, await generate(model, adapter, request(i)), `request ${i}`)
    }
    const { steps, tokensOut, resident, answers } = engine.stats()
    t.ok(steps < tokensOut, `${tokensOut} tokens in ${steps} steps`)
    t.strictSame([resident, answers], [3, 24])
    await engine.close()
    await t.rejects(engine.generate(request(0)), { code: 'NATIVE_SHUTTING_DOWN' })
  },
)

t.test('tokens stream in order; an abort or a failing listener touches nobody else', async (t) => {
  const engine = new Engine(model)
  const long = { ...request(0), maxTokens: 90 }
  const seen: number[] = []
  const abort = new AbortController()
  const boom = new Error('the listener failed')
  const onCut = ({ index }: { index: number }): void => {
    if (index === 3) abort.abort()
  }
  const [whole, cut] = await Promise.all([
    engine.generate(long, ({ token, index }) => {
      t.equal(index, seen.length)
      seen.push(token)
    }),
    engine.generate(long, onCut, abort.signal),
    t.rejects(
      engine.generate(long, () => {
        throw boom
      }),
      boom,
    ),
  ])
  t.strictSame(Uint32Array.from(seen), whole.tokens)
  t.equal(whole.tokens.length, 90)
  t.strictSame(cut.tokens, whole.tokens.slice(0, cut.tokens.length), cut.finish)
  await t.rejects(engine.generate(long, undefined, abort.signal), { code: 'NATIVE_CANCELLED' })
  await engine.close()
})

t.test('more than may wait are refused at once', async (t) => {
  let bring = (_directory: string): void => {}
  const directory = new Promise<string>((resolve) => {
    bring = resolve
  })
  const engine = new Engine(model, { waitingMax: 2, fetchAdapter: () => directory })
  engine.register('far')
  const ask = (): Promise<unknown> => engine.generate({ ...request(0), adapter: 'far' })
  const waiting = [ask(), ask()]
  await t.rejects(ask(), { code: 'NATIVE_QUEUE_FULL', message: /2 requests are waiting/ })
  bring(join(root, 'a0'))
  const [first, second] = await Promise.all(waiting)
  t.strictSame(first, second)
  await engine.close()
})

t.test(
  'an adapter that cannot be had fails its request by name and code, and is tried again',
  async (t) => {
    let there = false
    const engine = new Engine(model, {
      fetchAdapter: async (name) => {
        if (!there) throw new Error(`no peer has ${name}`)
        return join(root, 'a0')
      },
    })
    engine.register('far')
    engine.register('wrong', join(root, 'nowhere'))
    await t.rejects(engine.generate({ ...request(1), adapter: 'far' }), {
      message: /no peer has far/,
    })
    await t.rejects(engine.generate({ ...request(1), adapter: 'wrong' }), {
      code: 'NATIVE_BAD_ADAPTER',
      message: /nowhere is not a directory/,
    })
    await t.rejects(engine.generate({ ...request(1), adapter: 'nobody' }), {
      code: 'NATIVE_UNKNOWN_ADAPTER',
    })
    there = true
    const made = await engine.generate({ ...request(1), adapter: 'far' })
    t.strictSame(made, await generate(model, adapters[0]?.adapter ?? null, request(1)))
    t.throws(() => engine.register('far'), { message: /registered already/ })
    await engine.close()
  },
)

t.test(
  'scale 0 is the base; a name that comes back with other factors shares nothing',
  async (t) => {
    const engine = new Engine(model)
    engine.register('a', join(root, 'a1'))
    const ask = {
      ...request(2),
      adapter: 'a',
      maxTokens: 90,
      prompt: request(2).prompt.slice(0, 9),
    }
    t.strictSame(await engine.generate({ ...ask, scale: 0 }), await generate(model, null, ask))
    const first = await engine.generate(ask)
    engine.unregister('a')
    engine.register('a', join(root, 'a1'))
    t.strictSame(await engine.generate(ask), first)
    engine.unregister('a')
    renameSync(join(root, 'a2'), join(root, 'moved'))
    engine.register('a', join(root, 'moved'))
    const other = await Adapter.load(model, join(root, 'moved'))
    t.strictSame(await engine.generate(ask), await generate(model, other, ask))
    await engine.close()
  },
)

t.test('limits out of range are refused by name', async (t) => {
  for (const [limits, message] of [
    [{ runningMax: 0 }, /runningMax is 0, must be in 1\.\.=4096/],
    [{ stepRowsMax: 8 }, /stepRowsMax is 8, must be in 64\.\./],
    [{ kvBytesMax: 1.5 }, /kvBytesMax is 1\.5/],
    [{ kvBytesMax: 10 }, /kvBytesMax 10 holds no page/],
  ] as const) {
    t.throws(() => new Engine(model, limits), { code: 'NATIVE_BAD_INPUT', message })
  }
})
