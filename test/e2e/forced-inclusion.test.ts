/**
 * What a sequencer that censors cannot do: a user's L1 deposit makes the L2 transaction happen by the epoch
 * rule, whoever builds the blocks, and no deposit is ever lost. Real L1, real portal.
 */
import fc from 'fast-check'
import t from 'tap'
import { createWalletClient, encodeFunctionData, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OpenToken, Portal } from '../../genesis/contracts.generated.ts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import type { Chain } from '../../node/chain/chain.ts'
import { decodeDepositTx, isDeposit } from '../../node/chain/deposit.ts'
import { l1AttributesOf } from '../../node/chain/l1-attributes.ts'
import { deployL1, type L1Deployment } from '../../scripts/deploy-l1.ts'
import { KEYS, startAnvil } from '../node/l1/anvil.ts'
import { Rollup } from '../sequencer/batcher/rollup.ts'
import { alice, bob } from '../support/chain.ts'
import { testSettlement } from '../support/settlement.ts'

const WINDOW = 6n
const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

let l1: L1Deployment
t.before(async () => {
  await anvil.rpc('evm_setAutomine', true)
  const deployerKey = KEYS[0] as Hex
  const settlement = testSettlement()
  l1 = await deployL1({ rpcUrl: anvil.url, deployerKey, settlement, pollingIntervalMs: 10 })
  await send(deployerKey, l1.token, OpenToken.abi, 'approve', [l1.portal, 10n ** 24n])
  await anvil.rpc('anvil_setBalance', alice.address, '0x8ac7230489e80000')
  await anvil.rpc('evm_setAutomine', false)
})

async function send(key: Hex, to: Hex, abi: unknown, functionName: string, args: unknown[]) {
  const account = privateKeyToAccount(key)
  const writer = createWalletClient({ account, transport: http(anvil.url) })
  const data = encodeFunctionData({ abi, functionName, args } as never)
  return writer.sendTransaction({ to, data, chain: null, gas: 300_000n })
}

/** `value` wei that alice has on L2, sent to bob by way of L1. */
const force = (value: bigint): Promise<Hex> => {
  const args = [bob.address, value, 100_000n, false, '0x']
  return send(toHex(alice.key), l1.portal, Portal.abi, 'depositTransaction', args)
}

/** User deposits on the chain up to the safe head, in order, with the number of their epoch's L1 block. */
function deposited(chain: Chain): { value: bigint; l1: bigint }[] {
  const found: { value: bigint; l1: bigint }[] = []
  for (let number = 1n; number <= chain.headRef('safe').number; number++) {
    const block = chain.blockByNumber(number)
    if (!block) throw new Error(`no block ${number}`)
    const origin = l1AttributesOf(block)?.number ?? 0n
    for (const raw of block.transactions.slice(1).filter(isDeposit)) {
      found.push({ value: decodeDepositTx(raw).value, l1: origin })
    }
  }
  return found
}

t.test('a sequencer that ignores a sender has to include what the sender deposits', async (t) => {
  const rollup = await Rollup.start(t, anvil, { portal: l1.portal })
  const before = rollup.chain.stateAt('unsafe').account(bob.address)?.balance ?? 0n
  await rollup.build([])
  await force(12_345n)
  await followL1(rollup)
  const balance = rollup.chain.stateAt('unsafe').account(bob.address)?.balance ?? 0n
  t.equal(balance - before, 12_345n, 'in the first block of the epoch')
  await post(rollup)
  const follower = await rollup.follower()
  await follower.sync()
  t.match(deposited(follower.chain), [{ value: 12_345n }])
  t.equal(follower.chain.headRef('safe').hash, rollup.chain.headRef('unsafe').hash)
})

t.test('a sequencer that stops altogether is gone past when its window closes', async (t) => {
  const rollup = await Rollup.start(t, anvil, { portal: l1.portal, seqWindowSize: WINDOW })
  await force(777n)
  await anvil.mine()
  const follower = await rollup.follower()
  await follower.sync()
  t.same(deposited(follower.chain), [], 'the sequencer still has time')
  for (let i = 0n; i <= WINDOW; i++) await anvil.mine()
  await follower.sync()
  t.match(deposited(follower.chain), [{ value: 777n }])
  const genesis = follower.chain.stateAt(0n).account(bob.address)?.balance ?? 0n
  t.equal((follower.chain.stateAt('safe').account(bob.address)?.balance ?? 0n) - genesis, 777n)
})

/** Builds blocks with nothing but deposits until one hangs on the newest L1 block. */
async function followL1(rollup: Rollup): Promise<void> {
  await anvil.mine()
  const newest = await rollup.reader().head('latest')
  for (;;) {
    const block = await rollup.build([])
    if (l1AttributesOf(block)?.hash === newest?.hash) return
  }
}

/** The sequencer's whole chain onto L1. */
async function post(rollup: Rollup): Promise<void> {
  const { service } = rollup.batcher({ dataAvailability: 'calldata' })
  await service.tick(true)
  await anvil.mine()
  await service.tick()
}

let next = 1n
const history = fc.record({
  /** Deposits in each L1 block. */
  counts: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 }),
  sequencerWorks: fc.boolean(),
})
for (const { counts, sequencerWorks } of fc.sample(history, 5)) {
  const how = sequencerWorks ? 'a working' : 'a silent'
  t.test(`no deposit is lost or doubled: ${counts} in L1 blocks, ${how} sequencer`, async (t) => {
    const overrides = { portal: l1.portal, seqWindowSize: sequencerWorks ? 50n : WINDOW }
    const rollup = await Rollup.start(t, anvil, overrides)
    const sent: bigint[] = []
    for (const count of counts) {
      for (let i = 0; i < count; i++) {
        await force(next)
        sent.push(next++)
      }
      if (sequencerWorks) await followL1(rollup)
      else await anvil.mine()
    }
    if (sequencerWorks) await post(rollup)
    else for (let i = 0n; i <= WINDOW; i++) await anvil.mine()
    const follower = await rollup.follower()
    await follower.sync()
    const found = deposited(follower.chain)
    t.same(
      found.map(({ value }) => value),
      sent,
    )
    t.ok(found.every(({ l1: at }, i) => i === 0 || at >= (found[i - 1]?.l1 ?? 0n)))
  })
}
