import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Adapter, evaluateLoss, generate, Model, replay, trainLora } from '../../native/index.ts'
import { TINY_LORA, tinyModel, tinySamples } from './tiny.ts'

const root = t.testdir()
const model = await tinyModel(join(root, 'model'))
const samples = tinySamples(model, 12)
const { adapter } = await trainLora(model, { samples, config: TINY_LORA }, join(root, 'a'))
const options = {
  prompt: model.encode('The 3 whales'),
  maxTokens: 40,
  temperature: 0.8,
  topP: 0.9,
  seed: 5n,
  stop: [],
}

t.test('the same request gives the same tokens and trace, alone or beside others', async (t) => {
  const alone = await generate(model, adapter, options)
  t.equal(alone.tokens.length, 40)
  t.equal(alone.trace.length, 40)
  const crowd = await Promise.all(
    Array.from({ length: 4 }, (_, i) =>
      generate(model, adapter, { ...options, seed: BigInt(4 + i) }),
    ),
  )
  t.strictSame(crowd[1], alone)
  t.notSame(crowd[2]?.tokens, alone.tokens)
})

t.test('a replay of the answer has its trace, and names the first changed token', async (t) => {
  const made = await generate(model, adapter, options)
  t.strictSame(await replay(model, adapter, options, made.tokens), made)
  const forged = made.tokens.slice()
  forged[9] = ((forged[9] ?? 0) + 1) % 300
  const again = await replay(model, adapter, options, forged)
  t.equal(
    forged.findIndex((token, i) => token !== again.tokens[i]),
    9,
  )
  const base = await replay(model, null, options, made.tokens)
  t.notSame(base.trace[0], made.trace[0], 'another model shows in the first leaf')
})

t.test('token events come in order, all before the promise settles', async (t) => {
  const seen: number[] = []
  const { tokens } = await generate(model, null, options, ({ token, index }) => {
    t.equal(index, seen.length)
    seen.push(token)
  })
  t.strictSame(Uint32Array.from(seen), tokens)
})

t.test('an abort stops the answer early, and a throwing callback is its error', async (t) => {
  const controller = new AbortController()
  const long = { ...options, maxTokens: 100 }
  controller.abort()
  await t.rejects(generate(model, null, long, undefined, controller.signal), {
    code: 'NATIVE_CANCELLED',
  })
  const boom = new Error('the listener failed')
  await t.rejects(
    generate(model, null, long, () => {
      throw boom
    }),
    boom,
  )
})

t.test('training twice gives the same files; they load to the same adapter', async (t) => {
  const again = join(root, 'b')
  await trainLora(model, { samples, config: TINY_LORA }, again)
  const files = readdirSync(join(root, 'a')).sort()
  t.strictSame(files, ['adapter_config.json', 'adapter_model.safetensors'])
  for (const file of files) {
    t.strictSame(readFileSync(join(again, file)), readFileSync(join(root, 'a', file)), file)
  }
  const loaded = await Adapter.load(model, again)
  t.strictSame(await generate(model, loaded, options), await generate(model, adapter, options))
  const reloaded = await Model.load(model.dir)
  t.strictSame(
    await generate(reloaded, await Adapter.load(reloaded, again), options),
    await generate(model, adapter, options),
  )
})

t.test('training reports every step and lowers the loss', async (t) => {
  const steps: number[] = []
  const before = await evaluateLoss(model, null, samples)
  const config = { ...TINY_LORA, epochs: 10, learningRate: 0.05 }
  const trained = await trainLora(model, { samples, config }, join(root, 'c'), (p) => {
    steps.push(p.step)
    t.equal(p.steps, 30)
  })
  t.strictSame(
    steps,
    Array.from({ length: 30 }, (_, i) => i + 1),
  )
  const after = await evaluateLoss(model, trained.adapter, samples)
  t.equal(after.tokens, 12 * 23)
  t.ok(after.loss < 0.95 * before.loss, `${after.loss} < ${before.loss}`)
})

t.test('a cancelled training writes nothing', async (t) => {
  const controller = new AbortController()
  const config = { ...TINY_LORA, epochs: 100_000 }
  const out = join(root, 'never')
  const run = trainLora(
    model,
    { samples, config },
    out,
    () => controller.abort(),
    controller.signal,
  )
  await t.rejects(run, { code: 'NATIVE_CANCELLED' })
  t.throws(() => readdirSync(out))
})

t.test('requests and samples out of range are refused by name', async (t) => {
  const bad: [Partial<typeof options>, RegExp][] = [
    [{ prompt: Uint32Array.of() }, /token sequence is empty/],
    [{ prompt: Uint32Array.of(1, 300) }, /token 300 at index 1 is outside the vocabulary of 300/],
    [{ maxTokens: 0 }, /maxTokens is 0/],
    [{ maxTokens: 1.5 }, /maxTokens is 1\.5/],
    [{ maxTokens: 1000 }, /do not fit the model's 128 positions/],
    [{ temperature: -1 }, /temperature -1/],
    [{ temperature: Number.NaN }, /temperature NaN/],
    [{ topP: 0 }, /topP 0/],
    [{ seed: 1n << 64n }, /seed must be in 0\.\.2\^64/],
  ]
  for (const [change, message] of bad) {
    const run = generate(model, null, { ...options, ...change })
    await t.rejects(run, { code: 'NATIVE_BAD_INPUT', message })
  }
  const tokens = model.encode('The 1 whales of the 2 seas')
  for (const lossFrom of [0, tokens.length, -1, 0.5]) {
    await t.rejects(evaluateLoss(model, null, [{ tokens, lossFrom }]), {
      code: 'NATIVE_BAD_INPUT',
      message: /sample 0: lossFrom/,
    })
  }
})
