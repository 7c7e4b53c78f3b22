import t from 'tap'
import { type Hex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { decodeVersionManifest } from '../../../node/datanet/version.ts'
import { submitTerms } from '../../../node/factory/chain.ts'
import { alice } from '../../support/chain.ts'
import { provider } from '../../support/economy.ts'
import { jobsContract, openWorld, TINY } from '../../support/factory.ts'
import { models } from '../../support/model.ts'

t.test('a job is drafted, committed, trained, measured and registered for its owner', async (t) => {
  const world = await openWorld(t)
  const { factory } = world
  const { id, manifest, estimate } = await world.submit()
  t.ok(estimate.seconds.total > 0)
  world.worker('one').start()
  await factory.submit(manifest)
  const seen = new Set<string>()
  factory.on((job) => seen.add(`${job.state} ${job.progress?.phase ?? ''}`.trim()))
  const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
  t.equal(job.error, null)
  for (const phase of ['train', 'evaluate', 'index']) t.ok(seen.has(`running ${phase}`), phase)
  t.equal(job.points.length, estimate.steps, 'every loss is kept')
  t.same(job.checkpoints.map(({ step }) => step).slice(0, 2), [2, 4])
  t.match(job.result?.evaluation, { rows: Number, contaminated: Number })
  const model = await world.economy.read<{ owner: string; name: string }>(models, 'getModel', [
    job.modelId,
  ])
  t.equal(model.owner.toLowerCase(), alice.address)
  t.equal(model.name, 'tiny')
  const there = await world.economy.read<{ state: number; step: number; resultHash: string }>(
    jobsContract,
    'getJob',
    [id],
  )
  t.match(there, { state: 4, step: estimate.steps, resultHash: job.result?.report })

  // What was said of gas before holds for what was spent, and by little.
  await factory.settled()
  const gasOf = (...names: string[]): bigint =>
    world.sent.reduce((sum, { name, gas }) => sum + (names.includes(name) ? gas : 0n), 0n)
  const { submit, register } = estimate.chain as NonNullable<typeof estimate.chain>
  for (const [part, used] of [
    [submit, gasOf('submit')],
    [register, gasOf('start', 'checkpoint', 'putChunk', 'complete')],
  ] as const) {
    t.ok(used > 0n && used <= BigInt(part.gas), `${used} of ${part.gas} gas`)
    t.ok(BigInt(part.gas) * 100n <= used * 120n, 'within a fifth')
    t.ok(BigInt(part.wei) > 0n)
  }
})

t.test('a job that stands otherwise on chain, or not at all, is refused', async (t) => {
  const world = await openWorld(t)
  const { factory } = world
  const { manifest } = await factory.draft({ ...TINY, name: 'x', datanets: [{ datanet: '1' }] })
  await t.rejects(factory.submit(manifest), { code: 'job-not-committed' })
  await t.rejects(factory.submit({ ...manifest, seed: -1 }), /field seed is -1/)
  // Committed by other terms than its own, or naming what the chain does not: licences would be checked of another job.
  const [ref] = manifest.datanets as [(typeof manifest.datanets)[number]]
  const ungrouped = { ...manifest, datanets: [{ ...ref, groupsHash: ZERO_HASH }] }
  const at = { worker: provider.address, deadline: world.economy.now + 86_400n }
  const terms = submitTerms(ungrouped, at)
  await world.economy.send(alice, jobsContract, 'submit', [terms])
  await t.rejects(factory.submit(ungrouped), {
    code: 'job-terms',
    message: new RegExp(`^the chain has groupsHash of Datanet 1 version 1 ${ref.groupsHash}`),
  })
  const free = { ...submitTerms(manifest, at), manifest: { ...submitTerms(manifest, at).manifest } }
  free.manifest.isCommercial = false as never
  await world.economy.send(alice, jobsContract, 'submit', [free])
  await t.rejects(
    factory.submit(manifest),
    /the chain has isCommercial false for job .*, its manifest true/,
  )
  await t.rejects(factory.submit({ ...manifest, base: `0x${'11'.repeat(32)}` }), {
    code: 'model-base',
  })
  await t.rejects(factory.draft({ name: 'x', datanets: [{ datanet: '9' }] }), /no Datanet 9/)
  await t.rejects(
    factory.draft({ name: 'x', datanets: [{ datanet: '1', version: 3 }] }),
    /no version 3/,
  )
  await t.rejects(
    factory.draft({ name: 'x', datanets: 'all' as never }),
    /'datanets' is "all"; it must be a list of objects/,
  )
  await t.rejects(
    factory.draft({ name: 'x', parents: [{ model: 'sotu' as never }] }),
    /no model sotu is registered/,
  )
  await t.rejects(
    factory.draft({ name: 'x' }),
    /field datanets is 0; it must be 1 to 16 Datanet versions/,
  )
  await t.rejects(
    factory.draft({ name: 'x', datanets: [{ datanet: '1' }], lora: { rank: 100_000 } }),
    /lora.rank is 100000; it must be an integer from 1 to 256/,
  )
  await t.rejects(
    factory.draft({ name: 'x', datanets: [{ datanet: '1' }], training: { learningRate: 1e9 } }),
    /learningRate is 1000000000/,
  )
  const held = decodeVersionManifest(await world.content.get(ref.manifestHash), ref.manifestHash)
  await world.content.remove(held.contributions[1]?.file as Hex)
  await t.rejects(factory.draft({ name: 'x', datanets: [{ datanet: '1' }] }), {
    code: 'content-missing',
    message: new RegExp(held.contributions[1]?.file as Hex),
  })
})

t.test('estimates asked for together measure the machine once', async (t) => {
  const { factory, fabric } = await openWorld(t)
  const made: string[] = []
  await fabric.records.watch((key) => void (key.startsWith('calibration') && made.push(key)))
  const request = { ...TINY, name: 'twice', datanets: [{ datanet: '1' }] }
  const drafts = await Promise.all([factory.draft(request), factory.draft(request)])
  t.equal(made.length, 1)
  t.ok(drafts.every(({ estimate }) => estimate.seconds.total > 0))
})

t.test('a job whose rows are not those of the manifest fails, and its fee goes back', async (t) => {
  const world = await openWorld(t)
  const before = world.economy.balance(alice.address)
  const draft = await world.factory.draft({ ...TINY, name: 'lie', datanets: [{ datanet: '1' }] })
  const lie = { ...draft.manifest, orderRoot: `0x${'22'.repeat(32)}` as const }
  const terms = submitTerms(lie, draft.terms)
  await world.economy.send(alice, jobsContract, 'submit', [terms], { value: 10n ** 18n })
  const { id } = await world.factory.submit(lie)
  world.worker('one').start()
  const job = await world.until(id, ({ state }) => state === 'failed')
  t.match(job.error, { code: 'training-rows', message: /order root/ })
  await world.factory.settled()
  t.equal(await world.economy.read(jobsContract, 'held'), 0n)
  t.ok(before - world.economy.balance(alice.address) < 10n ** 17n, 'but for the gas')
})

t.test('a worker that names what it has not given loses the job to another', async (t) => {
  const world = await openWorld(t)
  const { factory } = world
  const { id, manifest } = await world.submit()
  const nothing: Hex = `0x${'33'.repeat(32)}`
  // The liar says that it is done before an honest worker is there.
  await factory.submit(manifest)
  const lie = { adapterHash: nothing, artefactHash: nothing, report: nothing, leavesHash: nothing }
  const again = world.until(id, ({ state, turn }) => state === 'queued' && turn === 2)
  await factory.jobs.update(id, () => ({ state: 'trained', result: lie as never }))
  t.equal((await again).result, null)
  world.worker('honest').start()
  const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
  t.equal(job.error, null)
  t.not(job.result?.adapterHash, nothing)
})

t.test(
  'a worker that comes back from a stall finds the job with another, and writes nothing',
  async (t) => {
    const world = await openWorld(t)
    const { factory } = world
    const { id, manifest } = await world.submit()
    await factory.submit(manifest)
    // It stands still at its first checkpoint.
    let wake = (): void => {}
    world.hold(
      new Promise<void>((resolve) => {
        wake = resolve
      }),
    )
    const stalled = world.worker('stalled')
    stalled.start()
    const taken = await world.until(id, ({ state }) => state === 'running')
    await factory.jobs.update(id, () => ({ holder: 'another#2', attempts: 2 }))
    wake()
    await stalled.stop()
    const { state, holder, attempts, result } = await factory.get(id)
    t.same(
      { state, holder, attempts, result },
      { state: 'running', holder: 'another#2', attempts: 2, result: null },
    )
    t.match(taken.holder, /^stalled#1#/)
  },
)

t.test(
  'pausing stops at a step, resuming ends at the same bytes, cancelling refunds',
  async (t) => {
    const world = await openWorld(t)
    const { factory } = world
    const worker = world.worker('one')
    const long = { seed: 1, training: { ...TINY.training, epochs: 8 } }
    const reference = await world.submit(long)
    await factory.submit(reference.manifest)
    // The same work with another name.
    const { id, manifest } = await world.submit({ ...long, name: 'paused' })
    const stopOnce = factory.on((job) => {
      if (job.id !== id || job.checkpoints.length < 1) return
      stopOnce()
      world.hold(world.until(id, ({ wish }) => wish === 'pause'))
      void world.economy.send(alice, jobsContract, 'control', [id, 0]).then(() => factory.heard(id))
    })
    await factory.submit(manifest)
    worker.start()
    const paused = await world.until(id, ({ state }) => state === 'paused')
    t.ok(paused.checkpoints.length >= 1)
    await world.economy.send(alice, jobsContract, 'control', [id, 1])
    factory.heard(id)
    const done = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
    const first = await factory.get(reference.id)
    t.equal(done.result?.adapterHash, first.result?.adapterHash)
    t.same(done.points, first.points, 'losses are shown once')

    const other = await world.submit({ seed: 2 }, alice, 10n ** 18n)
    await factory.submit(other.manifest)
    world.hold(world.until(other.id, ({ wish }) => wish === 'cancel'))
    await t.rejects(factory.control(other.id, 'cancel'), { code: 'job-owner' })
    const before = world.economy.balance(alice.address)
    await world.economy.send(alice, jobsContract, 'control', [other.id, 2])
    factory.heard(other.id)
    await world.until(other.id, ({ state }) => state === 'cancelled')
    t.ok(world.economy.balance(alice.address) > before)

    const third = await world.submit({ ...long, name: 'cancelled as it runs' })
    const caught = world.until(third.id, ({ checkpoints }) => checkpoints.length > 0)
    await factory.submit(third.manifest)
    await caught
    world.hold(world.until(third.id, ({ wish }) => wish === 'cancel'))
    await world.economy.send(alice, jobsContract, 'control', [third.id, 2])
    factory.heard(third.id)
    const ended = await world.until(third.id, ({ state }) => state === 'cancelled')
    t.match(ended, { finishedAtMs: Number, holder: null, result: null })
  },
)

t.test('a job that its node ends after the last step is not registered', async (t) => {
  const world = await openWorld(t)
  const { economy, factory, fabric } = world
  const { id, manifest } = await world.submit()
  const error = { code: 'datanet-erased', message: 'its rows are erased' }
  const put = fabric.objects.put
  fabric.objects.put = async (bytes) => {
    const { progress } = await factory.get(id)
    // All is computed, and about to be given to the node.
    if (progress?.phase === 'index')
      await factory.jobs.update(id, () => ({ wish: 'cancel', error }))
    return put(bytes)
  }
  world.worker('late').start()
  await factory.submit(manifest)
  const ended = await world.until(id, ({ state }) => state === 'failed' || state === 'done')
  t.match(ended, { state: 'failed', error, result: null })
  await factory.settled()
  t.equal(await economy.read(jobsContract, 'held'), 0n, 'its fee is given back')
})
