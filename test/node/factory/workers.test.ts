/** Worker processes over a real NATS server, training and answering: killed with work in hand, they lose nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { InferenceRequest } from '../../../node/attribution/request.ts'
import { type Hex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { openNatsFabric } from '../../../node/factory/fabric/nats.ts'
import { ModelLibrary } from '../../../node/model/library.ts'
import { type ModelRecord, Registry } from '../../../node/model/registry.ts'
import { remoteRunner } from '../../../node/model/remote/runner.ts'
import { localRunner } from '../../../node/model/runner.ts'
import { BASE_DIR, openWorld, TINY } from '../../support/factory.ts'
import { natsFor } from '../../support/nats.ts'

/** Far from done when it is killed. */
const LONG = { seed: 5, training: { ...TINY.training, epochs: 12 } }
const PREFIX = 'openledger-test'
const root = join(import.meta.dirname, '../../..')
const ended = (job: { state: string }): boolean => job.state === 'done' || job.state === 'failed'

/** `openledger worker` in a process of its own; resolves when it is ready. */
async function startWorker(
  nats: string,
  dir: string,
  { more = [], env = {} }: { more?: readonly string[]; env?: Record<string, string> } = {},
): Promise<ChildProcess> {
  const flags = ['--nats-url', nats, '--prefix', PREFIX, '--dir', dir, '--silent-ms', '1500']
  const program = 'test/support/dishonest-node-process.ts'
  const child = spawn(process.execPath, [program, 'worker', ...flags, ...more], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream }))
    if (line.includes('worker ready')) return child
  throw new Error('the worker ended before it was ready')
}

t.test(
  'of two workers one is killed in mid-job; the job ends at the same bytes',
  { timeout: 180_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'openledger-workers-'))
    const server = await natsFor(t, join(dir, 'nats'))
    if (!server) return
    const options = { url: server.url, prefix: PREFIX, silentMs: 1_500 }
    const world = await openWorld(t, { fabric: await openNatsFabric(options, silentLog) })
    const { factory } = world
    const workers = new Map<string, ChildProcess>()
    for (const name of ['one', 'two']) {
      const child = await startWorker(server.url, join(dir, name))
      workers.set(String(child.pid), child)
    }
    t.teardown(async () => {
      for (const child of workers.values()) child.kill('SIGKILL')
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    })

    const reference = await world.submit({ ...LONG, name: 'reference' })
    await factory.submit(reference.manifest)
    const first = await world.until(reference.id, ended)
    t.equal(first.error, null)

    const { id, manifest } = await world.submit({ ...LONG, name: 'killed' })
    const caught = world.until(id, ({ checkpoints }) => checkpoints.length >= 2)
    await factory.submit(manifest)
    const { holder, state } = await caught
    t.equal(state, 'running')
    const pid = holder?.match(/-(\d+)#/)?.[1] as string
    const victim = workers.get(pid) as ChildProcess
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    const second = await world.until(id, ended)
    t.equal(second.error, null)
    t.equal(second.attempts, 2, 'another worker went on')
    t.equal(second.result?.adapterHash, first.result?.adapterHash)
    t.equal(second.result?.leavesRoot, first.result?.leavesRoot)
    t.same(second.points, first.points)
    t.equal((await factory.jobs.list()).length, 2)
    for (const child of workers.values()) child.kill('SIGKILL')

    await t.test(
      'a worker killed in mid-answer: another gives the same bytes, and nothing is lost',
      async (t) => {
        const { economy, content, fabric } = world
        const registry = new Registry(economy.chain)
        const resultOf = (manifest: Hex): Promise<Hex> => registry.jobResult(manifest)
        const library = await ModelLibrary.open(
          {
            basePath: BASE_DIR,
            basePrecision: 'f32',
            cacheDir: join(dir, 'adapters'),
            adaptersMax: 4,
            verifyArtefacts: true,
          },
          { content, fetch: async (hash) => fabric.objects.get(hash), resultOf, log: silentLog },
        )
        t.teardown(() => library.close())
        const record = (await registry.model(first.modelId as Hex)) as ModelRecord
        const runner = remoteRunner({
          fabric,
          library,
          content,
          log: silentLog,
          resultOf,
          now: Date.now,
        })
        const request = (text: string, more: object = {}): InferenceRequest => ({
          modelId: record.id,
          prompt: [...library.base.model.encode(text)],
          sampler: { maxTokens: 6, temperature: 0, topP: 1, stop: [] },
          seed: '0',
          nonce: ZERO_HASH,
          ...more,
        })
        const serving = async (name: string, env: Record<string, string> = {}) => {
          const child = await startWorker(server.url, join(dir, name), { more: ['--serve'], env })
          workers.set(name, child)
          return child
        }
        const holding = await serving('holds', { HOLD_AFTER: '2' })
        // One asked twice at a time: both have the same answer, and each its own copy.
        const texts = ['Fellow citizens', 'The harvest', 'Of the navy', 'The harvest']
        let [heard, isHeld]: [number[], () => void] = [[], () => {}]
        const held = new Promise<void>((resolve) => {
          isHeld = resolve
        })
        const asked = texts.map((text, i) =>
          runner.run(record, request(text), {
            stopTexts: [],
            onToken: (token) => {
              if (i === 0) heard.push(token)
              if (heard.length === 2) isHeld()
            },
          }),
        )
        await held
        holding.kill('SIGKILL')
        await serving('honest')
        const local = localRunner(library)
        for (const [i, answer] of (await Promise.all(asked)).entries())
          t.same(
            answer,
            await local.run(record, request(texts[i] as string), { stopTexts: [] }),
            texts[i] as string,
          )
        t.same(heard, [...((await asked[0])?.tokens ?? [])], 'each token was shown once')

        const [word] = texts as [string]
        const whole = await local.run(
          record,
          request(word, { sampler: { maxTokens: 12, temperature: 0, topP: 1, stop: [] } }),
          { stopTexts: [] },
        )
        const stop = library.base.model.decode(whole.tokens.slice(3, 4))
        const stopped = await runner.run(record, request(word), { stopTexts: [stop] })
        t.ok(stopped.tokens.length <= 4, 'a stop text ends it on the worker')
        await t.rejects(
          runner.run(record, request(word, { prompt: [] }), { stopTexts: [] }),
          /the prompt is empty/,
        )
        t.same(await fabric.passing.records.list('answer.'), [], 'nothing is left behind')
      },
    )
  },
)
