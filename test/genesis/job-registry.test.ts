import t, { type Test } from 'tap'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { JobRegistry } from '../../genesis/contracts.generated.ts'
import { signHash } from '../../node/attribution/receipt.ts'
import { encodeSeal } from '../../node/attribution/table.ts'
import { type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { type Licence, PERMISSIONS, PUBLIC_DOMAIN, PURPOSES } from '../../node/datanet/licence.ts'
import { controlHash } from '../../node/factory/control.ts'
import { alice, bob, CHAIN_ID, ETHER, type Wallet } from '../support/chain.ts'
import { contribute, contributionOf, openDatanet, versionOf } from '../support/datanet.ts'
import { type Contract, carol, Economy, operator, provider } from '../support/economy.ts'
import {
  createDatanet,
  datanets,
  hashes,
  hashOf,
  manifestTerms,
  models,
  table,
} from '../support/model.ts'

const jobs: Contract = { address: OPENLEDGER.jobRegistry, abi: JobRegistry.abi }
const FEE = 10n * ETHER
const [PAUSE, RESUME, CANCEL] = [0, 1, 2]
const STATES = ['none', 'queued', 'running', 'paused', 'done', 'failed', 'cancelled']

/** A Datanet, a base, and what a job names of them. */
async function openWorld(t: Test): Promise<{ world: Economy; datanet: bigint }> {
  const world = await Economy.open(t.testdir(), { blockTime: 60n })
  t.teardown(world.close)
  const datanet = await createDatanet(world)
  await world.send(operator, models, 'registerBase', [hashes.baseHash, 'base', 'Apache-2.0'])
  return { world, datanet }
}

const termsOf = (
  world: Economy,
  datanet: bigint,
  change: { name?: string; worker?: Hex; deadline?: bigint; manifest?: object } = {},
) => ({
  manifest: manifestTerms(datanet, {
    manifestHash: hashOf(change.name ?? 'job'),
    ...change.manifest,
  }),
  configHash: hashOf('config'),
  orderRoot: hashOf('order'),
  seed: 7,
  kernelSet: 1,
  worker: change.worker ?? ZERO_ADDRESS,
  deadline: change.deadline ?? world.now + 86_400n,
})

async function submit(
  world: Economy,
  datanet: bigint,
  change: Parameters<typeof termsOf>[2] = {},
): Promise<Hex> {
  const terms = termsOf(world, datanet, change)
  await world.send(alice, jobs, 'submit', [terms], { value: FEE })
  return terms.manifest.manifestHash
}

/** The registration of a model for this job; its chunk is stored. */
async function delivery(world: Economy, jobId: Hex, name = 'model'): Promise<object> {
  const { chunks, seal } = encodeSeal({
    table,
    top: 2,
    kernelSet: 1,
    ...hashes,
    manifestHash: jobId,
    corpusHash: ZERO_HASH,
  })
  await world.send(provider, models, 'putChunk', [toHex(chunks[0] as Uint8Array)])
  const { adapterHash, artefactHash, leavesRoot } = hashes
  return {
    manifestHash: jobId,
    adapterHash,
    artefactHash,
    leavesRoot,
    name,
    sealManifest: toHex(seal),
  }
}

async function train(world: Economy, jobId: Hex, name?: string): Promise<Hex> {
  await world.send(provider, jobs, 'start', [jobId])
  const params = await delivery(world, jobId, name)
  const { events } = await world.send(provider, jobs, 'complete', [jobId, params, hashOf('result')])
  return events.find((event) => event.name === 'JobDone')?.args.modelId as Hex
}

const stateOf = async (world: Economy, jobId: Hex): Promise<string | undefined> =>
  STATES[(await world.read<{ state: number }>(jobs, 'getJob', [jobId])).state]

/** The contract holds exactly what it owes. */
async function assertSolvent(t: Test, world: Economy, expected: bigint): Promise<void> {
  t.equal(await world.read(jobs, 'held'), expected)
  t.equal(world.balance(jobs.address), expected)
}

t.test('a job is submitted, done and paid; the model is the owner of the job’s', async (t) => {
  const { world, datanet } = await openWorld(t)
  const jobId = await submit(world, datanet)
  await assertSolvent(t, world, FEE)
  await world.send(provider, jobs, 'start', [jobId])
  await world.send(provider, jobs, 'checkpoint', [jobId, 5, 10, hashOf('checkpoint')])
  const params = await delivery(world, jobId)
  await world.send(provider, jobs, 'complete', [jobId, params, hashOf('result')])
  const job = await world.read<{ modelId: Hex; resultHash: Hex }>(jobs, 'getJob', [jobId])
  t.equal(job.resultHash, hashOf('result'))
  const model = await world.read<{ owner: Hex }>(models, 'getModel', [job.modelId])
  t.equal(model.owner.toLowerCase(), alice.address)
  t.match(await world.refusal(carol, jobs, 'pay', [jobId]), /^NotPayableYet/)
  await world.pass(3_600n)
  const before = world.balance(provider.address)
  await world.send(carol, jobs, 'pay', [jobId])
  t.equal(world.balance(provider.address) - before, FEE)
  t.equal(await world.refusal(carol, jobs, 'pay', [jobId]), `NothingToPay(${jobId})`)
  await assertSolvent(t, world, 0n)
})

t.test('what a job may not name is refused with the reason, and no fee is kept', async (t) => {
  const { world, datanet } = await openWorld(t)
  const refusal = (change: Parameters<typeof termsOf>[2]): Promise<string> =>
    world.refusal(alice, jobs, 'submit', [termsOf(world, datanet, change)], FEE)
  t.equal(await refusal({ manifest: { versions: [9] } }), `UnknownVersion(${datanet},9)`)
  t.equal(await refusal({ manifest: { datanetIds: [77n] } }), 'UnknownDatanet(77)')
  t.equal(
    await refusal({ manifest: { evaluationIds: [datanet], evaluationVersions: [3] } }),
    `UnknownVersion(${datanet},3)`,
  )
  t.equal(await refusal({ manifest: { baseHash: ZERO_HASH } }), `UnknownBase(${ZERO_HASH})`)
  t.equal(
    await refusal({ manifest: { parents: [hashOf('nobody')] } }),
    `UnknownModel(${hashOf('nobody')})`,
  )
  t.equal(await refusal({ manifest: { isMerge: true } }), 'ParentsOutOfBounds(0)')
  t.match(await refusal({ deadline: world.now }), /^DeadlineOutOfBounds/)
  t.match(await refusal({ deadline: world.now + 10_000_000n }), /^DeadlineOutOfBounds/)
  const jobId = await submit(world, datanet)
  t.equal(await refusal({}), `ManifestTaken(${jobId},${alice.address})`)
  await assertSolvent(t, world, FEE)
})

t.test(
  'a job has one worker at a time; one that stalls loses it, and what it showed',
  async (t) => {
    const { world, datanet } = await openWorld(t)
    const jobId = await submit(world, datanet)
    await world.send(provider, jobs, 'start', [jobId])
    t.match(await world.refusal(bob, jobs, 'start', [jobId]), /^Leased/)
    t.match(await world.refusal(bob, jobs, 'fail', [jobId, '']), /^NotWorker/)
    t.match(await world.refusal(bob, jobs, 'checkpoint', [jobId, 1, 2, ZERO_HASH]), /^NotWorker/)
    await world.send(provider, jobs, 'checkpoint', [jobId, 9, 10, ZERO_HASH])
    t.equal(
      await world.refusal(provider, jobs, 'checkpoint', [jobId, 8, 10, ZERO_HASH]),
      'StepsOutOfBounds(8,10)',
      'steps do not go back',
    )
    await world.pass(600n)
    await world.send(bob, jobs, 'start', [jobId])
    t.match(
      await world.refusal(provider, jobs, 'checkpoint', [jobId, 9, 10, ZERO_HASH]),
      /^NotWorker/,
    )
    const { events } = await world.send(alice, jobs, 'control', [jobId, CANCEL])
    t.match(events, [{ name: 'JobEnded', args: { refund: FEE } }], 'the stalled steps earn nothing')
    await assertSolvent(t, world, 0n)

    const own = await submit(world, datanet, { name: 'assigned', worker: bob.address })
    t.match(await world.refusal(provider, jobs, 'start', [own]), /^NotWorker/)
    t.equal(await world.refusal(bob, jobs, 'start', [own]), 'accepted')
  },
)

t.test('pause, resume and cancel are the owner’s, by transaction or by signature', async (t) => {
  const { world, datanet } = await openWorld(t)
  const jobId = await submit(world, datanet)
  t.match(await world.refusal(bob, jobs, 'control', [jobId, PAUSE]), /^NotJobOwner/)
  await world.send(provider, jobs, 'start', [jobId])
  await world.send(alice, jobs, 'control', [jobId, PAUSE])
  t.equal(await stateOf(world, jobId), 'paused')
  t.match(await world.refusal(provider, jobs, 'start', [jobId]), /^WrongState/)
  t.match(await world.refusal(alice, jobs, 'control', [jobId, PAUSE]), /^WrongState/)

  const domain = { chainId: CHAIN_ID, verifyingContract: jobs.address }
  const signed = (action: number, nonce: bigint, who: Wallet): Hex =>
    signHash(controlHash({ jobId, action, nonce }, domain), who.key)
  const relay = (signature: Hex, action = RESUME): Promise<string> =>
    world.refusal(bob, jobs, 'controlFor', [jobId, action, signature])
  t.match(await relay(signed(RESUME, 1n, bob)), /^BadControlSignature/)
  t.match(await relay(signed(RESUME, 0n, alice)), /^BadControlSignature/, 'an old one')
  t.match(await relay(signed(RESUME, 1n, alice), CANCEL), /^BadControlSignature/)
  await world.send(bob, jobs, 'controlFor', [jobId, RESUME, signed(RESUME, 1n, alice)])
  t.equal(await stateOf(world, jobId), 'queued')

  await world.send(provider, jobs, 'start', [jobId])
  await world.send(provider, jobs, 'checkpoint', [jobId, 3, 10, ZERO_HASH])
  const { events } = await world.send(alice, jobs, 'control', [jobId, CANCEL])
  t.match(
    events,
    [{ name: 'JobEnded', args: { refund: (FEE * 7n) / 10n } }],
    'steps shown are paid',
  )
  t.equal(await stateOf(world, jobId), 'cancelled')
  await assertSolvent(t, world, (FEE * 3n) / 10n)
  await world.pass(3_600n)
  await world.send(provider, jobs, 'pay', [jobId])
  await assertSolvent(t, world, 0n)
})

t.test('a job that fails or outlives its deadline gives the whole fee back', async (t) => {
  const { world, datanet } = await openWorld(t)
  const failing = await submit(world, datanet, { name: 'failing' })
  await world.send(provider, jobs, 'start', [failing])
  await world.send(provider, jobs, 'fail', [failing, 'diverged'])
  t.equal(await stateOf(world, failing), 'failed')
  const late = await submit(world, datanet, { name: 'late', deadline: world.now + 600n })
  t.match(await world.refusal(bob, jobs, 'expire', [late]), /^DeadlineNotPassed/)
  await world.pass(600n)
  t.match(await world.refusal(provider, jobs, 'start', [late]), /^DeadlinePassed/)
  await world.send(bob, jobs, 'expire', [late])
  await assertSolvent(t, world, 0n)
})

t.test('a disputed result is paid to whom the ruling says, to the wei', async (t) => {
  const { world, datanet } = await openWorld(t)
  const outcomes: Record<string, bigint> = {}
  for (const ruling of ['right', 'wrong', 'none']) {
    const jobId = await submit(world, datanet, { name: ruling })
    await train(world, jobId, ruling)
    const small = await world.refusal(carol, jobs, 'dispute', [jobId], FEE - 1n)
    t.equal(small, `BondTooSmall(${FEE})`)
    await world.send(carol, jobs, 'dispute', [jobId], { value: FEE })
    await assertSolvent(t, world, 2n * FEE)
    await world.pass(3_600n)
    t.match(await world.refusal(bob, jobs, 'pay', [jobId]), /^AlreadyDisputed/)
    t.match(await world.refusal(alice, jobs, 'rule', [jobId, false]), /^NotArbiter/)
    t.match(await world.refusal(alice, jobs, 'closeUnruled', [jobId]), /^NotPayableYet/)
    const before = {
      provider: world.balance(provider.address),
      alice: world.balance(alice.address),
    }
    if (ruling !== 'none') await world.send(operator, jobs, 'rule', [jobId, ruling === 'right'])
    outcomes[`${ruling} worker`] = world.balance(provider.address) - before.provider
    outcomes[`${ruling} owner`] = world.balance(alice.address) - before.alice
    if (ruling !== 'none') await assertSolvent(t, world, 0n)
  }
  t.match(outcomes, {
    'right worker': 2n * FEE,
    'right owner': 0n,
    'wrong worker': 0n,
    'wrong owner': FEE,
  })
})

t.test(
  'a descendant names what its parents were trained on, and owes them a falling share',
  async (t) => {
    const { world, datanet } = await openWorld(t)
    const other = await createDatanet(world)
    const child = async (name: string, parents: Hex[], isMerge = false): Promise<Hex> => {
      const jobId = await submit(world, datanet, { name, manifest: { parents, isMerge } })
      return train(world, jobId, name)
    }
    const first = await child('first', [])
    const second = await child('second', [first])
    const third = await child('third', [second])
    t.same(await world.read(models, 'royaltiesOf', [third]), [
      { modelId: first, part: 62_500_000n },
      { modelId: second, part: 187_500_000n },
    ])
    const [accounts, amounts] = await world.read<[Hex[], bigint[]]>(models, 'splitRoyalties', [
      third,
      10_000_000_001n,
    ])
    t.same(amounts, [7_500_000_001n, 625_000_000n, 1_875_000_000n], 'the rest is the owner’s')
    t.same(
      accounts.map((account) => account.toLowerCase()),
      Array(3).fill(alice.address),
    )

    const merged = await child('merged', [first, third], true)
    t.same(await world.read(models, 'royaltiesOf', [merged]), [
      { modelId: first, part: 125_000_000n + 7_812_500n },
      { modelId: second, part: 23_437_500n },
      { modelId: third, part: 93_750_000n },
    ])
    const edges = await world.read<{ kind: number; target: Hex }[]>(models, 'lineageOf', [merged])
    t.same(
      edges.map(({ kind, target }) => [kind, target]),
      [
        [1, hashes.baseHash],
        [2, first],
        [2, third],
        [0, `0x${datanet.toString(16).padStart(64, '0')}`],
      ],
    )
    const forgetful = termsOf(world, datanet, {
      name: 'forgetful',
      manifest: { parents: [first], datanetIds: [other] },
    })
    t.equal(
      await world.refusal(alice, jobs, 'submit', [forgetful], FEE),
      `ParentDatanetMissing(${first},${datanet},1)`,
    )
  },
)

t.test('a model committed as not commercial can have no price', async (t) => {
  const { world, datanet } = await openWorld(t)
  const jobId = await submit(world, datanet, { manifest: { isCommercial: false } })
  const modelId = await train(world, jobId)
  t.equal(
    await world.refusal(alice, models, 'setRates', [modelId, 1n, 1n]),
    `NotCommercial(${modelId})`,
  )
  t.equal(await world.refusal(alice, models, 'setRates', [modelId, 0n, 0n]), 'accepted')
})

t.test('only JobRegistry commits and registers in another’s name', async (t) => {
  const { world, datanet } = await openWorld(t)
  const { manifest } = termsOf(world, datanet)
  const refusal = await world.refusal(bob, models, 'commitManifestFor', [alice.address, manifest])
  t.equal(refusal, `NotJobRegistry(${bob.address})`)
  t.equal(await world.refusal(bob, models, 'commitManifest', [manifest]), 'accepted')
})

t.test('what a licence forbids is refused by the registry, with the reason', async (t) => {
  const { world } = await openWorld(t)
  const [PERMISSION, PURPOSE, CONTRIBUTORS_PART, BASE, REVOKED] = [3, 4, 5, 6, 1]
  const { train: mayTrain, commercial, derivatives } = PERMISSIONS
  const licensed = async (licence: Partial<Licence>): Promise<bigint> => {
    const id = await openDatanet(world, operator, { licence: { ...PUBLIC_DOMAIN, ...licence } })
    const contribution = contributionOf(id, carol)
    await contribute(world, contribution, carol)
    const version = versionOf(hashOf(`version of ${id}`), [contribution.rowsRoot])
    await world.send(operator, datanets, 'publish', [id, version])
    return id
  }
  const refusal = (id: bigint, manifest: object): Promise<string> =>
    world.refusal(alice, jobs, 'submit', [termsOf(world, id, { manifest })], FEE)
  const cases: [Partial<Licence>, object, number][] = [
    [{ permissions: PERMISSIONS.retrieve }, { isCommercial: false }, PERMISSION],
    [{ permissions: mayTrain }, {}, PERMISSION],
    [{ purposes: PURPOSES.research }, {}, PURPOSE],
    [{ purposes: PURPOSES.research }, { purposes: PURPOSES.law }, PURPOSE],
    [{ contributorsMin: 6_000 }, {}, CONTRIBUTORS_PART],
    [{ bases: [hashOf('another')] }, {}, BASE],
  ]
  for (const [licence, manifest, why] of cases) {
    const id = await licensed(licence)
    t.equal(await refusal(id, manifest), `LicenceForbids(${id},1,${why})`)
    t.equal(
      await world.refusal(alice, models, 'commitManifest', [manifestTerms(id, manifest)]),
      `LicenceForbids(${id},1,${why})`,
      'nor without a job',
    )
  }
  const closed = await licensed({ permissions: mayTrain | commercial })
  t.equal(await refusal(closed, {}), 'accepted')
  t.equal(await refusal(closed, { contributorsPart: 0 }), 'accepted')
  const parent = await train(world, await submit(world, closed, { name: 'parent' }), 'parent')
  t.equal(await refusal(closed, { parents: [parent] }), `LicenceForbids(${closed},1,${PERMISSION})`)
  const open = await licensed({ permissions: mayTrain | commercial | derivatives })
  await world.send(operator, datanets, 'revokeLicence', [open, 1])
  t.equal(await refusal(open, {}), `LicenceForbids(${open},1,${REVOKED})`)
  const evaluation = { evaluationIds: [open], evaluationVersions: [1] }
  t.equal(await refusal(closed, evaluation), `LicenceForbids(${open},1,${REVOKED})`)
})
