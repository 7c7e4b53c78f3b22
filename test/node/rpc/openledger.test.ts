/**
 * openledger_* on a real chain with a model, a settled receipt and rows to prove. Every answer is held to the schema of
 * its method; the methods that need a trainer or a whole stack are held to theirs in test/e2e.
 */
import t, { type Test } from 'tap'
import { MARKET as market } from '../../../node/agents/market.ts'
import { ReceiptLedger } from '../../../node/attribution/ledger.ts'
import { PayoutIndex } from '../../../node/attribution/payouts.ts'
import { bigintToBytes, keccakHex, toHex, utf8 } from '../../../node/base/bytes.ts'
import { NodeError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import { BridgedIndex } from '../../../node/chain/bridged.ts'
import { ContentStore } from '../../../node/content/store.ts'
import { Registry } from '../../../node/model/registry.ts'
import type { ModelServices } from '../../../node/model/services.ts'
import { ProvenanceIndex } from '../../../node/provenance/event-index.ts'
import { openledgerMethods } from '../../../node/rpc/methods/openledger.ts'
import { RpcServer } from '../../../node/rpc/server.ts'
import { createRpc } from '../../../scripts/devnet/economy.ts'
import { identity, registerAgent } from '../../support/agents.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { contribute, contributionOf } from '../../support/datanet.ts'
import { carol, Economy, operator } from '../../support/economy.ts'
import {
  artefact,
  escrow,
  hashes,
  hashOf,
  hashOfReceipt,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
  TREASURY,
} from '../../support/model.ts'
import { staking } from '../../support/open.ts'
import { ResultCheck } from '../../support/result-check.ts'
import { started } from '../../support/started.ts'

const RECEIPT = receiptOf()
const HASH = hashOfReceipt(RECEIPT)

async function open(t: Test) {
  const world = await Economy.open(t.testdir({ content: {} }))
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
  await world.send(carol, receipts, 'settle', [[settlementOf(RECEIPT)]])
  const { chain, store } = world
  const content = await ContentStore.open(`${t.testdirName}/content`)
  const ledger = await started(chain, new ReceiptLedger(chain, store, silentLog))
  await ledger.putVerdict({
    receiptHash: HASH,
    ok: false,
    validator: alice.address,
    difference: { stage: 'tokens', field: 'output', index: 3, claimed: '17', found: '4' },
  })
  const base = { hash: hashes.baseHash, name: 'base', precision: 'f32', tokenizerHash: HASH }
  const models = {
    registry: new Registry(chain),
    library: {
      base,
      load: () => Promise.reject(new NodeError('content-missing', 'retry', 'no adapter is here')),
    },
    provider: null,
    readContent: (hash: typeof HASH) => content.get(hash),
  } as unknown as ModelServices
  const methods = openledgerMethods({
    role: 'follower',
    chain,
    payouts: await started(chain, new PayoutIndex(chain, store)),
    provenance: await started(chain, new ProvenanceIndex(chain, store)),
    bridged: await started(chain, new BridgedIndex(chain, store)),
    posted: async () => [],
    openings: { ask: () => Promise.reject(new Error('nothing is opened here')) },
    models,
    factory: null,
    ledger,
    content,
    peers: () => [{ peer: '16Uiu2', address: '/ip4/127.0.0.1/tcp/1' }],
    p2pAddresses: () => ['/ip4/127.0.0.1/tcp/2'],
  })
  const server = new RpcServer({}, { chain, log: silentLog, methods: [methods] })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const check = new ResultCheck(server.methods)
  const rpc = createRpc(url)
  /** @throws when the answer is not what the method's schema says */
  const ask = async <T>(name: string, ...params: unknown[]): Promise<T> => {
    const result = await rpc<T>(`openledger_${name}`, ...params)
    const fault = check.fault(`openledger_${name}`, result)
    if (fault) throw new Error(fault)
    return result
  }
  return { ask, world, server }
}

t.test('models, receipts, verdicts and rewards are answered as described', async (t) => {
  const { ask } = await open(t)
  t.match(await ask('nodeInfo'), { role: 'follower', baseModel: { name: 'base' } })
  t.match(await ask('listModels'), [{ id: artefact.modelId, name: 'orator' }])
  t.match(await ask('getModel', artefact.modelId), { rateIn: '3', rateOut: '1001' })
  t.equal(await ask('getModel', HASH), null)
  t.same(await ask('quote', artefact.modelId, 7, 11), { fee: '11032', unit: 'wei of OPEN' })
  const receipt = { receiptHash: HASH, fee: '11032', modelName: 'orator', verdict: { ok: false } }
  t.match(await ask('getReceipt', HASH), receipt)
  t.match(await ask('listReceipts'), [receipt])
  t.equal(await ask('getReceipt', hashOf('none')), null)
  t.match(await ask('getVerdict', HASH), { difference: { stage: 'tokens', index: 3 } })
  t.equal(await ask('getVerdict', hashOf('none')), null)
  t.match(await ask('pendingRewards', alice.address), { pending: '3678', claimable: '0' })
})

t.test('what the market offers is answered with who gets what of it', async (t) => {
  const { ask, world } = await open(t)
  t.same(await ask('getListings'), { total: 0, listings: [] })
  t.equal(await ask('getListing', 'datanet', '1'), null)
  const expiresAt = Number(world.now) + 1_000
  const offer = (change: object): object => ({
    price: 0n,
    licencePrice: 0n,
    licenceSeconds: 60n,
    expiresAt: BigInt(expiresAt),
    termsHash: hashOf('terms'),
    ...change,
  })
  const metadata = [{ metadataKey: 'model', metadataValue: artefact.modelId }]
  const agent = await registerAgent(world, bob, metadata)
  const numbered = (id: bigint) => toHex(bigintToBytes(id, 32))
  await world.send(bob, market, 'list', [0, numbered(agent), offer({ price: 1_001n })])
  await world.send(operator, market, 'list', [1, artefact.modelId, offer({ licencePrice: 7n })])
  const both = { price: 3n, licencePrice: 4n }
  await world.send(operator, market, 'list', [2, numbered(1n), offer(both)])
  const ofAgent = {
    kind: 'agent',
    id: '1',
    name: null,
    seller: bob.address,
    expiresAt,
    isGood: false,
    sale: {
      price: '1001',
      split: [
        { account: bob.address, amount: '751' },
        { account: operator.address, amount: '250' },
      ],
    },
    licence: null,
  }
  const found = await ask<{ total: number; listings: object[] }>('getListings')
  t.equal(found.total, 3)
  t.same(found.listings[0], ofAgent, 'it is not approved to the market yet')
  t.match(found.listings.slice(1), [
    { kind: 'model', id: artefact.modelId, name: 'orator', sale: null, licence: { price: '7' } },
    {
      kind: 'datanet',
      id: '1',
      isGood: true,
      sale: { price: '3' },
      licence: { seconds: 60, split: [{ account: TREASURY, amount: '4' }] },
    },
  ])
  t.same(await ask('getListings', 2, 64), { total: 3, listings: found.listings.slice(2) })
  t.same(await ask('getListings', 3), { total: 3, listings: [] })
  await world.send(bob, identity, 'approve', [market.address, agent])
  t.same(await ask('getListing', 'agent', '1'), { ...ofAgent, isGood: true })
  await t.rejects(ask('getListing', 'robot', '1'), /one of agent, model, datanet, got "robot"/)
  await t.rejects(ask('getListing', 'agent', artefact.modelId), /names no agent/)
  await t.rejects(ask('getListing', 'model', '7'), /names no model/)
  await t.rejects(ask('getListing', 'agent', '0'), /a number from 1/)
})

t.test('attribution is proved, verified and simulated as described', async (t) => {
  const { ask } = await open(t)
  t.match(await ask('getAttributionProof', HASH, alice.address), { index: 0, count: 2 })
  t.equal(await ask('getAttributionProof', HASH, carol.address), null)
  t.match(await ask('verifyReceipt', HASH), { ok: true, firstDifference: -1 })
  t.match(await ask('simulateSplit', HASH, 1), {
    contributors: [{ amount: '3678' }, { amount: '1839' }],
  })
})

t.test('provenance of a receipt, a model and an account is answered as described', async (t) => {
  const { ask } = await open(t)
  type Found = { is: string; events: { kind: string }[]; answer: unknown }
  const receipt = await ask<Found>('getProvenance', HASH)
  t.match(receipt, { is: 'receipt', answer: { text: null, payees: [{ amount: '1103' }] } })
  const last = receipt.events.slice(-3).map(({ kind }) => kind)
  t.same(last, ['served', 'attributed', 'paid'])
  t.equal((await ask<Found>('getProvenance', artefact.modelId)).is, 'model')
  await t.rejects(ask('getProvenance', carol.address), /nothing here is called 0x/)
  await t.rejects(ask('getProvenance', 'row 7'), /datanet\/version\/row/)
})

t.test('Datanets and content are answered as described', async (t) => {
  const { ask, world } = await open(t)
  const bytes = utf8('some rows')
  const hex = `0x${Buffer.from(bytes).toString('hex')}`
  t.equal(await ask('putContent', hex), keccakHex(bytes))
  t.equal(await ask('getContent', keccakHex(bytes)), hex)
  t.equal(await ask('getContent', keccakHex(bytes), 5), `0x${hex.slice(12)}`)
  t.equal(await ask('getContent', keccakHex(bytes), 9), '0x')
  t.match(await ask('listDatanets'), [{ id: '1' }])
  t.match(await ask('getDatanet', 1), { quorum: { threshold: 0 } })
  t.equal(await ask('getDatanet', 9), null)
  t.match(await ask('getDatanetVersion', 1, 1), { terms: { permissions: /./ } })
  const contribution = contributionOf(1n, alice, { rowsRoot: hashOf('more rows') })
  await contribute(world, contribution, alice)
  t.match(await ask('getContribution', 1, contribution.rowsRoot), {
    rowCount: 5,
    validation: { outcome: 'none' },
  })
})

t.test('no method’s result is described as just an object or a list', async (t) => {
  const { server } = await open(t)
  const vague = Object.entries(server.methods).filter(([, { result }]) => {
    const isOpen = result.type === 'object' || (result.type === 'array' && result.maxItems !== 0)
    return isOpen && !result.properties && !result.items && !result.additionalProperties
  })
  t.same(
    vague.map(([name]) => name),
    [],
  )
})

t.test('the supply is told by what it does, at any block of the chain', async (t) => {
  const { ask, world } = await open(t)
  const total = `${10n ** 27n}`
  const before = `0x${world.chain.headRef('unsafe').number.toString(16)}`
  await world.send(alice, staking, 'open', [0, 0], { value: 5n * ETHER })
  const nothing = { total, circulating: total, locked: '0', vested: '0', bridged: '0' }
  t.match(await ask('supply'), { ...nothing, staked: `${5n * ETHER}` })
  t.match(await ask('supply', before), { ...nothing, staked: '0' })
  await t.rejects(ask('supply', '0xffff'), /no block 65535/)
})
