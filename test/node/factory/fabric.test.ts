/** One suite for both makes of the fabric. */
import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { Base64UrlPaddedCodec } from '@nats-io/obj/internal'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { keccakHex, utf8 } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { ContentStore } from '../../../node/content/store.ts'
import { openLocalFabric } from '../../../node/factory/fabric/local.ts'
import { openNatsFabric } from '../../../node/factory/fabric/nats.ts'
import type { Delivery, Fabric } from '../../../node/factory/fabric/types.ts'
import { endedLongAgo } from '../../../node/factory/job.ts'
import { Store } from '../../../node/store/store.ts'
import { filesBelow } from '../../support/dir.ts'
import { natsFor } from '../../support/nats.ts'

/** Opens the same fabric as often as it is called; each is another life. */
type Reopen = () => Promise<Fabric>

const never = new AbortController().signal
const pull = async (fabric: Fabric): Promise<Delivery> =>
  (await fabric.queue.pull(never)) as Delivery

const keptIn =
  (dir: string) =>
  (bytes: Uint8Array): boolean =>
    [...filesBelow(dir)].some((file) => file.includes(Buffer.from(bytes)))

/** @param isKept whether a file where objects are kept has these bytes */
async function suite(
  t: Test,
  reopen: Reopen,
  isKept: (bytes: Uint8Array) => boolean,
): Promise<void> {
  const fabric = await reopen()
  const { queue, records, objects } = fabric

  await t.test('work comes in order, once, and what is given back comes again', async (t) => {
    await queue.push('a', 1)
    await queue.push('b', 1)
    await queue.push('a', 1)
    const [a, b] = [await pull(fabric), await pull(fabric)]
    t.same([a.id, a.attempt, b.id, b.attempt], ['a', 1, 'b', 1])
    await a.working()
    await a.release()
    const again = await pull(fabric)
    t.same([again.id, again.attempt], ['a', 2])
    await again.ack()
    await b.ack()
    const stop = new AbortController()
    const waiting = queue.pull(stop.signal)
    stop.abort()
    t.equal(await waiting, null, 'nothing is left')
    await queue.push('a', 2)
    const third = await pull(fabric)
    t.equal(third.id, 'a', 'a new turn of an acknowledged id')
    await queue.push('a', 3)
    await third.ack()
    const fourth = await pull(fabric)
    t.equal(fourth.id, 'a', 'a new turn of an id that was still held')
    await fourth.ack()
  })

  await t.test('a record changes by compare-and-set, and watchers see every change', async (t) => {
    const seen: string[] = []
    let last = (): void => {}
    const told = new Promise<void>((resolve) => {
      last = resolve
    })
    const stop = await records.watch((key, value) => {
      seen.push(`${key} ${Buffer.from(value)}`)
      if (seen.length === 3) last()
    })
    const first = await records.put('job.1', utf8('one'), 0)
    await t.rejects(records.put('job.1', utf8('other'), 0), { code: 'record-changed' })
    const second = await records.put('job.1', utf8('two'), first)
    await t.rejects(records.put('job.1', utf8('late'), first), { code: 'record-changed' })
    t.ok(second > first)
    await records.put('other', utf8('x'))
    await told
    stop()
    t.same(seen, ['job.1 one', 'job.1 two', 'other x'])
    t.equal(Buffer.from((await records.get('job.1'))?.value ?? []).toString(), 'two')
    t.same(await records.list('job.'), ['job.1'])
    await records.delete('other')
    t.equal(await records.get('other'), null)
  })

  await t.test(
    'signals are heard by who listens, in order, and requests have a queue of their own',
    async (t) => {
      const { signals, inference } = fabric
      const heard: number[] = []
      let last = (): void => {}
      const all = new Promise<void>((resolve) => {
        last = resolve
      })
      signals.say('a', Uint8Array.of(9))
      const hush = await signals.listen('a', ([word]) => {
        heard.push(word as number)
        if (word === 3) last()
      })
      for (const word of [1, 2, 3]) signals.say('a', Uint8Array.of(word))
      signals.say('b', Uint8Array.of(7))
      await all
      hush()
      t.same(heard, [1, 2, 3])
      await inference.push('c', 1)
      await queue.push('d', 1)
      const [request, job] = [await inference.pull(never), await queue.pull(never)]
      t.same([request?.id, job?.id], ['c', 'd'])
      await request?.ack()
      await job?.ack()
    },
  )

  await t.test('objects go by their hash', async (t) => {
    const bytes = new Uint8Array(randomBytes(300_000))
    const hash = await objects.put(bytes)
    t.equal(hash, keccakHex(bytes))
    t.equal(await objects.put(bytes), hash)
    t.same(await objects.get(hash), bytes)
    t.equal(await objects.has(hash), true)
    const none = keccakHex(utf8('none'))
    t.equal(await objects.has(none), false)
    await t.rejects(objects.get(none), { code: 'content-missing' })
    const [head, tail] = [bytes.subarray(0, 64), bytes.subarray(-64)]
    // A server writes its files when it has the time; one that never does ends this by the test's own.
    for (const part of [head, tail]) while (!isKept(part)) await setImmediate()
    await objects.delete(hash)
    await objects.delete(hash)
    t.equal(await objects.has(hash), false)
    for (const part of [head, tail]) t.notOk(isKept(part), 'no file has it any more')
    t.equal(await objects.put(bytes), hash, 'it may come again')
    await objects.delete(hash)
  })

  await t.test('what passes is apart from what is kept', async (t) => {
    const { passing } = fabric
    const hash = await passing.objects.put(utf8('answer'))
    t.same(Buffer.from(await passing.objects.get(hash)), Buffer.from('answer'))
    t.equal(await objects.has(hash), false)
    await passing.records.put('answer.1', utf8(hash), 0)
    t.same(await passing.records.list('answer.'), ['answer.1'])
    t.equal(await records.get('answer.1'), null)
    await passing.records.delete('answer.1')
    await passing.objects.delete(hash)
    await t.rejects(passing.objects.get(hash), { code: 'content-missing' })
  })

  await t.test('what a holder that died had comes to the next', async (t) => {
    await queue.push('orphan', 1)
    const held = await pull(fabric)
    t.equal(held.id, 'orphan')
    await fabric.close()
    const next = await reopen()
    const found = await pull(next)
    t.same([found.id, found.attempt], ['orphan', 2])
    await found.ack()
    await next.close()
  })
}

t.test('in process', async (t) => {
  const content = await ContentStore.open(t.testdir())
  let store: Store | undefined
  await suite(
    t,
    async () => {
      await store?.close()
      store = await Store.open(`${content.dir}/db`)
      return openLocalFabric({ table: store.table('jobs'), content, log: silentLog })
    },
    keptIn(content.dir),
  )
  await t.test('nobody waits for an answer of an earlier life', async (t) => {
    store = await Store.open(`${content.dir}/db`)
    const open = () => {
      const table = (store as Store).table('jobs')
      return openLocalFabric({ table, content, log: silentLog })
    }
    const { records, passing } = await open()
    await records.put('kept', utf8('record'))
    await passing.records.put('answer.1', utf8('answer'))
    const hash = await passing.objects.put(utf8('answer'))
    const next = await open()
    t.same(await next.passing.records.list(''), [])
    t.equal(await next.passing.objects.has(hash), false)
    t.ok(await next.records.get('kept'))
  })
  await store?.close()
})

t.test('on NATS JetStream', async (t) => {
  const server = await natsFor(t, t.testdir())
  if (!server) return
  t.teardown(server.stop)
  const options = { url: server.url, prefix: 'test', silentMs: 1_000 }
  await suite(t, () => openNatsFabric(options, silentLog), keptIn(t.testdirName))

  await t.test('a server that cannot be asked is a fault to try again, by its code', async (t) => {
    const { queue, records, objects, close } = await openNatsFabric(options, silentLog)
    await close()
    const again = { code: 'nats', severity: 'retry' }
    await t.rejects(queue.push('x', 1), again)
    await t.rejects(records.put('x', utf8('x'), 0), again)
    await t.rejects(objects.has(keccakHex(utf8('x'))), again)
  })

  await t.test('an erasure that was cut short goes on when the fabric is opened', async (t) => {
    const connection = await connect({ servers: server.url })
    const { streams } = await jetstreamManager(connection)
    const before = await openNatsFabric({ ...options, chunkMs: 200 }, silentLog)
    const bytes = new Uint8Array(randomBytes(300_000))
    const hash = await before.objects.put(bytes)
    // Killed when its bytes were gone, and its old name not.
    const [stream, leaving] = ['OBJ_test_objects', `${hash}.leaving`]
    const meta = (name: string): string => `$O.test_objects.M.${Base64UrlPaddedCodec.encode(name)}`
    const held = await streams.getMessage(stream, { last_by_subj: meta(hash) })
    const info = held?.json() as { nuid: string }
    const renamed = JSON.stringify({ ...info, name: leaving })
    await jetstream(connection).publish(meta(leaving), renamed)
    await streams.purge(stream, { filter: `$O.test_objects.C.${info.nuid}` })
    t.ok(await before.objects.has(hash))
    await t.rejects(before.objects.get(hash), { code: 'nats', severity: 'retry' }, 'not for ever')

    const { objects, close } = await openNatsFabric(options, silentLog)
    t.notOk(await objects.has(hash))
    await objects.put(bytes)
    t.same(await objects.get(hash), bytes, 'it may come again')
    await Promise.all([close(), before.close(), connection.close()])
  })

  await t.test('an answer whose asker has died passes by itself', async (t) => {
    const prefix = 'passing'
    const fabric = await openNatsFabric({ ...options, prefix, passingMs: 1_000 }, silentLog)
    const { objects, records } = fabric.passing
    const hash = await objects.put(utf8('answer'))
    await records.put('answer.1', utf8(hash))
    await fabric.objects.put(utf8('kept'))
    t.equal(await objects.has(hash), true)
    // The server drops both at their age, whenever that is; without an age this never ends.
    while ((await objects.has(hash)) || (await records.get('answer.1'))) await setImmediate()
    t.equal(await fabric.objects.has(keccakHex(utf8('kept'))), true)
    await fabric.close()
  })
})

t.test('records of jobs that ended long ago make room; what is unfinished never does', (t) => {
  const states = ['done', 'queued', 'failed', 'running', 'cancelled', 'paused', 'trained'] as const
  const jobs = states.map((state, i) => ({ state, i }))
  t.same(
    endedLongAgo(jobs, 1).map(({ i }) => i),
    [2, 4],
  )
  t.same(endedLongAgo(jobs, 3), [])
  t.end()
})
