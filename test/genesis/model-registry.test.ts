import t, { type Test } from 'tap'
import { toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { alice } from '../support/chain.ts'
import { Economy, operator } from '../support/economy.ts'
import {
  artefact,
  createDatanet,
  hashes,
  hashOf,
  manifestTerms,
  models,
  RATE_IN,
  RATE_OUT,
  registerModel,
  registerParams,
} from '../support/model.ts'

async function openWorld(t: Test, blockTime = 1n): Promise<Economy> {
  const world = await Economy.open(t.testdir(), { blockTime })
  t.teardown(world.close)
  return world
}

t.test('a model is registered in steps and keeps its whole descent', async (t) => {
  const world = await openWorld(t)
  const modelId = await registerModel(world)
  const model = await world.read<Record<string, unknown>>(models, 'getModel', [modelId])
  t.match(model, { ...hashes, name: 'orator', datanetIds: [1n], versions: [1] })
  t.match(model, { rateIn: RATE_IN, rateOut: RATE_OUT })
  t.equal(String(model.owner).toLowerCase(), operator.address)
  t.equal(await world.read(models, 'modelCount'), 1n)
  t.equal(await world.read(models, 'modelAt', [0n]), modelId)
  const sealedAt = String(model.sealedAt).toLowerCase() as `0x${string}`
  t.equal(toHex(world.chain.stateAt('unsafe').code(sealedAt)), artefact.seal)
  t.same(await world.read(models, 'lineageOf', [modelId]), [
    { kind: 1, target: hashes.baseHash, version: 0 },
    { kind: 0, target: `0x${'1'.padStart(64, '0')}`, version: 1 },
  ])
})

t.test('a manifest names a known base and published versions', async (t) => {
  const world = await openWorld(t)
  const id = await createDatanet(world)
  const { baseHash } = hashes
  const refusal = (ids: bigint[], versions: number[]): Promise<string> =>
    world.refusal(alice, models, 'commitManifest', [
      manifestTerms(id, { datanetIds: ids, versions }),
    ])
  t.equal(await refusal([id], [1]), `UnknownBase(${baseHash})`)
  await world.send(alice, models, 'registerBase', [baseHash, 'base', 'MIT'])
  t.equal(await refusal([id], [2]), `UnknownVersion(${id},2)`)
  t.equal(await refusal([77n], [1]), 'UnknownDatanet(77)')
  t.equal(await refusal([], []), 'DatanetsOutOfBounds(0,0)')
  t.equal(await refusal([id], []), 'DatanetsOutOfBounds(1,0)')
  t.equal(await refusal(Array(17).fill(id), Array(17).fill(1)), 'DatanetsOutOfBounds(17,17)')
  const again = await world.refusal(operator, models, 'registerBase', [baseHash, 'b', 'MIT'])
  t.equal(again, `BaseExists(${baseHash})`)
})

t.test('a manifest belongs to the first who commits it, before the model is there', async (t) => {
  const world = await openWorld(t)
  const id = await createDatanet(world)
  const { baseHash, manifestHash } = hashes
  await world.send(operator, models, 'registerBase', [baseHash, 'base', 'MIT'])
  await world.send(operator, models, 'putChunk', [artefact.chunk])
  const register = (): Promise<string> =>
    world.refusal(operator, models, 'registerModel', [registerParams()])
  t.equal(await register(), `UnknownManifest(${manifestHash})`)
  const manifest = [manifestTerms(id)]
  await world.send(operator, models, 'commitManifest', manifest)
  const taken = await world.refusal(alice, models, 'commitManifest', manifest)
  t.equal(taken, `ManifestTaken(${manifestHash},${operator.address})`)
  // A call runs in the head block, the one of the commitment.
  t.equal(await register(), `ManifestNotEarlier(${manifestHash})`)
  await world.pass()
  t.equal(await register(), 'accepted')
  const thief = await world.refusal(alice, models, 'registerModel', [registerParams()])
  t.equal(thief, `NotManifestOwner(${manifestHash},${alice.address})`)
})

t.test('a seal that says something else than the registration is refused', async (t) => {
  const world = await openWorld(t)
  const id = await createDatanet(world)
  const { baseHash, adapterHash } = hashes
  await world.send(operator, models, 'registerBase', [baseHash, 'base', 'MIT'])
  await world.send(operator, models, 'commitManifest', [manifestTerms(id)])
  await world.pass()
  const register = (change: Record<string, unknown>): Promise<string> =>
    world.refusal(operator, models, 'registerModel', [registerParams(change)])
  const other = hashOf('other')
  t.equal(await register({ adapterHash: other }), `SealMismatch(${other},${adapterHash})`)
  for (const field of ['artefactHash', 'leavesRoot']) {
    t.match(await register({ [field]: other }), /^SealMismatch/)
  }
  t.equal(await register({ sealManifest: '0x000201' }), 'SealManifestTooShort(3)')
  t.equal(await register({ name: '' }), 'BadText(128)')
  const size = (artefact.seal.length - 2) / 2
  t.equal(await register({}), `ArtefactRefused(${size})`, 'the chunk is not stored yet')
})

t.test('MODEL stores what is well-formed and refuses the rest, with its reason', async (t) => {
  const world = await openWorld(t)
  t.equal(await world.refusal(alice, models, 'putChunk', ['0x0002aa']), 'ArtefactRefused(3)')
  const { events } = await world.send(alice, models, 'putChunk', [artefact.chunk])
  const at = String(events[0]?.args.chunk).toLowerCase() as `0x${string}`
  t.equal(toHex(world.chain.stateAt('unsafe').code(at)), artefact.chunk)
})

t.test('a model cannot be registered twice', async (t) => {
  const world = await openWorld(t)
  const modelId = await registerModel(world)
  const refusal = await world.refusal(operator, models, 'registerModel', [registerParams()])
  t.equal(refusal, `ModelExists(${modelId})`)
})

t.test('a price change leaves quoted prices good for an hour', async (t) => {
  const world = await openWorld(t, 600n)
  const modelId = await registerModel(world)
  const isFee = (fee: bigint): Promise<boolean> =>
    world.read(models, 'isFee', [modelId, 10, 20, fee])
  const old = RATE_IN * 10n + RATE_OUT * 20n
  t.equal(await isFee(old), true)
  t.equal(await isFee(0n), false, 'the time before the first price is not a price')
  await world.send(operator, models, 'setRates', [modelId, 1n, 1n])
  t.equal(await isFee(30n), true)
  t.equal(await isFee(old), true)
  t.equal(await isFee(old + 1n), false)
  await world.pass(3_600n)
  t.equal(await isFee(old), false)
  const refusal = await world.refusal(alice, models, 'setRates', [modelId, 0n, 0n])
  t.equal(refusal, `NotModelOwner(${modelId},${alice.address})`)
})

t.test('the owner adds lineage up to a limit', async (t) => {
  const world = await openWorld(t)
  const modelId = await registerModel(world)
  const edge = [modelId, 3, hashOf('benchmark'), 1]
  const { events } = await world.send(operator, models, 'addLineage', edge)
  t.equal(events[0]?.name, 'LineageAdded')
  t.match(await world.refusal(alice, models, 'addLineage', edge), /^NotModelOwner/)
  t.equal((await world.read<unknown[]>(models, 'lineageOf', [modelId])).length, 3)
  await world.sendMany(operator, models, 'addLineage', Array(61).fill(edge))
  t.equal(await world.refusal(operator, models, 'addLineage', edge), 'TooManyEdges(65)')
  const unknown = await world.refusal(alice, models, 'getModel', [ZERO_HASH])
  t.equal(unknown, `UnknownModel(${ZERO_HASH})`)
})
