/** Events of a model's whole life on a real chain: their order, links and hashes, through a reorg and a restart. */
import t, { type Test } from 'tap'
import { concat, type Hex, keccak256, numberToHex, toEventSelector, toHex, toRlp } from 'viem'
import type { Chain } from '../../../node/chain/chain.ts'
import { KINDS, type ProvenanceEvent } from '../../../node/provenance/event.ts'
import { ProvenanceIndex } from '../../../node/provenance/event-index.ts'
import { type Provenance, provenanceOf, type WalkModules } from '../../../node/provenance/walk.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { carol, Economy, operator } from '../../support/economy.ts'
import {
  artefact,
  BARREN_SKETCH,
  escrow,
  hashOf,
  hashOfReceipt,
  models,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
  TREASURY,
} from '../../support/model.ts'
import { started } from '../../support/started.ts'

const RECEIPT = receiptOf()
const HASH = hashOfReceipt(RECEIPT)
const LIFE: readonly string[] =
  'contributed versioned trained deployed served attributed paid'.split(' ')

const NOTHING_HERE: Omit<WalkModules, 'index'> = {
  settled: async () => null,
  explain: () => Promise.reject(new Error('no model')),
  rows: async () => ({ corpus: null, leaves: null, place: () => null }),
  versionManifest: async () => null,
  readContent: () => Promise.reject(new Error('no content')),
}

async function openWorld(t: Test) {
  const world = await Economy.open(t.testdir())
  t.teardown(world.close)
  const index = await started(world.chain, new ProvenanceIndex(world.chain, world.store))
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
  const walk = (id: string, of = index): Promise<Provenance> =>
    provenanceOf(id, { index: of, ...NOTHING_HERE })
  return { world, index, walk }
}

const kindsIn = ({ events }: Provenance): string[] => events.map(({ kind }) => kind)

t.test('a receipt is walked back to the rows and on to the wei, each step by hash', async (t) => {
  const { world, index, walk } = await openWorld(t)
  await world.send(carol, receipts, 'settle', [[settlementOf(RECEIPT)]])
  const found = await walk(HASH)
  t.equal(found.is, 'receipt')
  t.ok(found.isComplete)
  // The operator's rows earned nothing in this answer, so they are not walked to.
  t.same(kindsIn(found), LIFE.slice(1))
  const model = await walk(artefact.modelId)
  t.same(kindsIn(model), LIFE, 'the model knows all of them')
  const known = new Map(model.events.map((event) => [event.hash, event]))
  for (const [i, event] of model.events.entries()) {
    t.same(event.predecessors, i === 0 ? [] : [model.events[i - 1]?.hash], event.kind)
    t.equal(
      event.hash,
      named(world.chain, event),
      `${event.kind} has the name of the specification`,
    )
    for (const before of event.predecessors) t.ok(known.has(before))
  }
  const [attributed, paid] = model.events.slice(-2)
  t.match(attributed?.about, {
    receipt: HASH,
    shares: [
      { account: alice.address, amount: '3678' },
      { account: bob.address, amount: '1839' },
    ],
  })
  const sum = paid?.kind === 'paid' ? paid.about.payouts : []
  t.equal(
    sum.reduce((wei, { amount }) => wei + BigInt(amount), 0n),
    RECEIPT.fee,
  )

  t.same(kindsIn(await walk(operator.address)), LIFE.slice(0, 4), 'it was paid for no answer')
  const [first] = model.events
  t.same(kindsIn(await walk(first?.hash as Hex)), LIFE.slice(0, 2), 'an event and its neighbours')
  await t.rejects(walk(hashOf('nothing')), { code: 'provenance-unknown' })
  await t.rejects(walk(carol.address), { code: 'provenance-unknown' })
  await t.rejects(walk('0/1/0'), { code: 'provenance-unknown' }, 'no Datanet has the number 0')

  const modules = { index, ...NOTHING_HERE }
  const part = await provenanceOf(artefact.modelId, modules, { readsMax: 3 })
  t.notOk(part.isComplete, 'what was read, and that it is not all')
  t.ok(part.events.length > 0 && part.events.length < LIFE.length)
})

t.test('an answer of nobody pays the treasuries, and says so', async (t) => {
  const { world, walk } = await openWorld(t)
  const barren = receiptOf({
    sketchHash: keccak256(BARREN_SKETCH),
    attributionRoot: keccak256('0x'),
  })
  const settlement = settlementOf(barren, { sketch: BARREN_SKETCH })
  await world.send(carol, receipts, 'settle', [[settlement]])
  const { events } = await walk(hashOfReceipt(barren))
  t.match(events.find(({ kind }) => kind === 'attributed')?.about, {
    shares: [],
    treasuries: [{ account: TREASURY }],
  })
})

t.test('two branches have their own events; a restart finds the same', async (t) => {
  const { world, index, walk } = await openWorld(t)
  const before = world.chain.headRef('unsafe')
  await world.send(carol, receipts, 'settle', [[settlementOf(RECEIPT)]])
  const { events: left } = await walk(HASH)
  await world.chain.resetUnsafe(before)
  await index.settled()
  await t.rejects(walk(HASH), { code: 'provenance-unknown' })
  t.same(kindsIn(await walk(artefact.modelId)), LIFE.slice(0, 4))

  await world.chain.resetUnsafe(left.at(-1)?.block as { number: bigint; hash: Hex })
  const again = await walk(HASH)
  t.same(again.events, left, 'the same branch, the same names')
  const reopened = await started(world.chain, new ProvenanceIndex(world.chain, world.store))
  t.same((await walk(HASH, reopened)).events, left)

  await world.send(operator, models, 'setRates', [artefact.modelId, 1n, 1n])
  const later = kindsIn(await walk(artefact.modelId, reopened))
  t.equal(later.filter((kind) => kind === 'deployed').length, 2)
})

/** The specification once more, by other means. */
function named(chain: Chain, event: ProvenanceEvent): Hex {
  const size = (value: number | bigint, bytes: number): Hex => numberToHex(value, { size: bytes })
  const { kind, block, transaction, logIndex, predecessors } = event
  const logs = (chain.receipts(block.hash) ?? [])
    .flatMap(({ logs: own, transactionHash }) => own.map((log) => ({ ...log, transactionHash })))
    .filter((log, i) => i >= logIndex && log.transactionHash === transaction)
    .filter(({ topics }) => topics[0] && SELECTORS[kind]?.includes(topics[0]))
    .map(({ address, topics, data }) => [address, [...topics], toHex(data)] as const)
  return keccak256(
    concat([
      toHex('OLPE'),
      '0x01',
      size(KINDS[kind], 1),
      size(chain.config.l2ChainId, 8),
      size(block.number, 8),
      block.hash,
      transaction,
      size(logIndex, 4),
      keccak256(toRlp(logs as never)),
      size(predecessors.length, 2),
      ...predecessors,
    ]),
  )
}

const SELECTORS: Readonly<Record<string, readonly Hex[]>> = Object.fromEntries(
  Object.entries({
    contributed: ['Revealed(uint256,address,bytes32,bytes32,uint32,uint64,uint64,bool)'],
    versioned: [
      'VersionPublished(uint256,uint32,bytes32,bytes32,bytes32,bytes32,uint32,uint32,bytes32[])',
    ],
    trained: [
      'ModelRegistered(bytes32,address,bytes32,bytes32,bytes32,string)',
      'LineageAdded(bytes32,uint8,bytes32,uint32)',
    ],
    deployed: ['RatesSet(bytes32,uint128,uint128)'],
    served: ['ReceiptSettled(bytes32,bytes32,address,address,uint256)'],
    attributed: ['Attributed(bytes32,address,uint32,uint64,uint256)'],
    paid: ['Booked(bytes32,address[],uint256[])'],
  }).map(([kind, events]) => [kind, events.map((event) => toEventSelector(event))]),
)
