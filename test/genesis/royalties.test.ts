/** What a fee pays to the owners of a model's ancestors: to the wei, whatever the descent and the fee. */
import fc from 'fast-check'
import t from 'tap'
import { encodeSeal } from '../../node/attribution/table.ts'
import { type Hex, keccakHex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { alice, bob, ETHER, type Wallet } from '../support/chain.ts'
import { carol, Economy, economy, operator, provider } from '../support/economy.ts'
import {
  createDatanet,
  escrow,
  hashes,
  hashOf,
  manifestTerms,
  models,
  policies,
  receiptOf,
  receipts,
  rewards,
  settlementOf,
  table,
} from '../support/model.ts'

let world: Economy
let datanet: bigint
t.before(async () => {
  world = await Economy.open(t.testdir())
  datanet = await createDatanet(world)
  await world.send(operator, models, 'registerBase', [hashes.baseHash, 'base', 'MIT'])
  await world.send(bob, escrow, 'deposit', [], { value: 100n * ETHER })
})
t.teardown(() => world.close())

async function register(
  name: string,
  owner: Wallet,
  change: { parents?: Hex[]; contributorsPart?: number } = {},
): Promise<Hex> {
  const manifestHash = hashOf(name)
  const isMerge = (change.parents?.length ?? 0) > 1
  await world.send(owner, models, 'commitManifest', [
    manifestTerms(datanet, { manifestHash, isMerge, ...change }),
  ])
  const { chunks, seal } = encodeSeal({
    table,
    top: 2,
    kernelSet: 1,
    corpusHash: ZERO_HASH,
    ...hashes,
    manifestHash,
  })
  await world.send(owner, models, 'putChunk', [toHex(chunks[0] as Uint8Array)])
  const { adapterHash, artefactHash, leavesRoot } = hashes
  const params = { manifestHash, adapterHash, artefactHash, leavesRoot, name }
  await world.send(owner, models, 'registerModel', [{ ...params, sealManifest: toHex(seal) }])
  return keccakHex(seal)
}

const pendingOf = (account: string): Promise<bigint> => world.read(rewards, 'pending', [account])

t.test('owner 3/4, parent 3/16, grandparent 1/16: paid by the settlement itself', async (t) => {
  const first = await register('first', alice)
  const second = await register('second', carol, { parents: [first] })
  const third = await register('third', operator, { parents: [second] })
  await world.send(operator, models, 'setRates', [third, 0n, 1_000_003n])
  const receipt = receiptOf({ modelId: third, fee: 11_000_033n })
  const before = await Promise.all([operator, carol, alice].map((who) => pendingOf(who.address)))
  const { events } = await world.send(provider, receipts, 'settle', [[settlementOf(receipt)]])
  const after = await Promise.all([operator, carol, alice].map((who) => pendingOf(who.address)))
  const owners = 2_200_006n // a fifth
  const [grandparent, parent] = [owners / 16n, (owners * 3n) / 16n]
  const attributed = events.filter(({ name }) => name === 'Attributed').map(({ args }) => args)
  const forAlice = attributed.find(({ account }) => String(account).toLowerCase() === alice.address)
  t.same(
    after.map((now, i) => now - (before[i] as bigint)),
    [owners - grandparent - parent, parent, grandparent + (forAlice?.amount as bigint)],
  )
  const booked = events.find(({ name }) => name === 'Booked')?.args ?? {}
  t.same(
    (booked.accounts as string[]).map((account) => account.toLowerCase()),
    [
      economy.platformTreasury,
      operator.address,
      economy.stakersPool,
      alice.address,
      carol.address,
      alice.address,
      bob.address,
    ],
    'the ancestors stand behind the stakers, the oldest first',
  )
  const sum = (booked.amounts as bigint[]).reduce((a, b) => a + b, 0n)
  t.equal(sum, receipt.fee)
})

t.test('whatever the descent, the parts sum to the amount and nobody is short', async () => {
  const chain: Hex[] = [await register('root', alice)]
  // A random family: each model continues one of the older ones or merges several.
  const family = fc.array(fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 4 }), {
    minLength: 2,
    maxLength: 5,
  })
  const amounts = fc.array(fc.bigInt({ min: 0n, max: 10n ** 27n }), {
    minLength: 20,
    maxLength: 20,
  })
  let serial = 0
  await fc.assert(
    fc.asyncProperty(family, amounts, async (births, fees) => {
      for (const picks of births) {
        const parents = [...new Set(picks.map((pick) => chain[pick % chain.length] as Hex))]
        const owner = [alice, bob, carol][serial % 3] as Wallet
        chain.push(await register(`child ${serial++}`, owner, { parents }))
      }
      const model = chain.at(-1) as Hex
      for (const fee of fees) {
        const [accounts, parts] = await world.read<[Hex[], bigint[]]>(models, 'splitRoyalties', [
          model,
          fee,
        ])
        const sum = parts.reduce((total, part) => total + part, 0n)
        if (sum !== fee || accounts.length !== parts.length) throw new Error(`${sum} of ${fee}`)
        // Floors only ever favour the owner, who keeps three quarters at least.
        if ((parts[0] as bigint) * 4n < fee * 3n) throw new Error('the owner is short')
      }
    }),
    { numRuns: 3 },
  )
})

t.test('a policy that gives contributors less than the manifest promises is refused', async (t) => {
  const generous = await register('generous', operator, { contributorsPart: 6_000 })
  await world.send(operator, models, 'setRates', [generous, 0n, 1_000n])
  const settle = (policyId: number): Promise<string> => {
    const receipt = receiptOf({ modelId: generous, fee: 11_000n, policyId })
    return world.refusal(provider, receipts, 'settle', [[settlementOf(receipt)]])
  }
  t.equal(await settle(1), 'PolicyBelowTerms(1,6000)')
  const policy = { platform: 1_000, modelOwner: 2_000, stakers: 1_000, contributors: 6_000 }
  const channels = { gradient: 10_000, span: 0, retrieval: 0 }
  await world.send(operator, policies, 'addPolicy', [policy, channels])
  t.equal(await settle(2), 'accepted')
})
