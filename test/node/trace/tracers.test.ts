/** Every tracer against geth's own answers (test/vectors/tracers.json), transaction by transaction. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { createTracer } from '../../../node/trace/index.ts'
import { traceBlock } from '../../../node/trace/replay.ts'
import { openTracedChain, TRACE_CONFIGS } from '../../support/traced.ts'

const vectors = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../vectors/tracers.json'), 'utf8'),
) as { blocks: string[]; answers: Record<string, unknown[][]> }

t.test('each tracer says what geth says', async (t) => {
  const { chain, close } = await openTracedChain(t.testdir())
  t.teardown(close)
  const blocks = [1n, 2n].map((n) => chain.blockByNumber(n)).filter((block) => block !== null)
  t.same(
    blocks.map(({ hash }) => hash),
    vectors.blocks,
    'the recorded chain',
  )
  for (const [name, config] of Object.entries(TRACE_CONFIGS)) {
    const { tracer, tracerConfig } = config as { tracer?: string; tracerConfig?: object }
    for (const [i, block] of blocks.entries()) {
      const traces = await traceBlock(
        {
          rules: chain.rules,
          block,
          replay: (one, observer) => chain.replay(one, observer),
          tick: () => {},
        },
        () => createTracer(tracer, tracer ? tracerConfig : config, () => {}),
      )
      const recorded = vectors.answers[name]?.[i]?.map(withoutGhosts)
      t.strictSame(
        JSON.parse(JSON.stringify(traces.map(({ result }) => result))),
        recorded,
        `${name}, block ${i + 1}`,
      )
    }
  }
})

/** geth 1.17.3 shows an account that was looked at and does not exist as changed to the code hash zero. */
function withoutGhosts(answer: unknown): unknown {
  const { post } = answer as { post?: Record<string, { codeHash?: string }> }
  if (!post) return answer
  const isGhost = ({ codeHash }: { codeHash?: string }): boolean => /^0x0{64}$/.test(codeHash ?? '')
  const real = Object.entries(post).filter(([, account]) => !isGhost(account))
  return { ...(answer as object), post: Object.fromEntries(real) }
}

t.test('one transaction of a block is traced without the others', async (t) => {
  const { chain, close } = await openTracedChain(t.testdir())
  t.teardown(close)
  const block = chain.blockByNumber(2n)
  if (!block) throw new Error('no block 2')
  let made = 0
  const traces = await traceBlock(
    {
      rules: chain.rules,
      block,
      replay: (one, observer) => chain.replay(one, observer),
      tick: () => {},
    },
    () => {
      made++
      return createTracer('callTracer', undefined, () => {})
    },
    2,
  )
  t.equal(traces.length, 1)
  t.match(traces[0]?.result, { error: 'execution reverted', revertReason: 'no' })
  t.equal(made, 2, 'one to see what it listens to, one that listens')
})
