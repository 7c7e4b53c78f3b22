/** Worker processes over a real NATS server: killed with a job in hand, they lose nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { openNatsFabric } from '../../../node/factory/fabric/nats.ts'
import { openWorld, TINY } from '../../support/factory.ts'
import { startNats } from '../../support/nats.ts'

/** Far from done when it is killed. */
const LONG = { seed: 5, training: { ...TINY.training, epochs: 12 } }
const PREFIX = 'openledger-test'
const root = join(import.meta.dirname, '../../..')
const ended = (job: { state: string }): boolean => job.state === 'done' || job.state === 'failed'

/** `openledger worker` in a process of its own; resolves when it is ready. */
async function startWorker(nats: string, dir: string): Promise<ChildProcess> {
  const flags = ['--nats-url', nats, '--prefix', PREFIX, '--dir', dir, '--silent-ms', '1500']
  const child = spawn(process.execPath, ['scripts/openledger.mjs', 'worker', ...flags], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream }))
    if (line.includes('worker ready')) return child
  throw new Error('the worker ended before it was ready')
}

t.test(
  'of two workers one is killed in mid-job; the job ends at the same bytes',
  { timeout: 120_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'openledger-workers-'))
    const server = await startNats(join(dir, 'nats'))
    if (typeof server === 'string') {
      t.skip(`NOT TRIED, no NATS server is to be had: ${server}`, () => {})
      return
    }
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
  },
)
