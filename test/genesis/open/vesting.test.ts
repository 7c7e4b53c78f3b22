/**
 * The published schedule on both chains: wallets on a real L1, the function of time on L2, one clock; and the command
 * that shows both.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import {
  type Abi,
  createPublicClient,
  createWalletClient,
  http,
  type PublicClient,
  type TransactionReceipt,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { encodeChainConfig } from '../../../genesis/chain.ts'
import { OpenToken, Vesting } from '../../../genesis/contracts.generated.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { BridgedIndex } from '../../../node/chain/bridged.ts'
import { supplyMethods } from '../../../node/rpc/methods/supply.ts'
import { RpcServer } from '../../../node/rpc/server.ts'
import { deployL1, type L1Deployment } from '../../../scripts/deploy-l1.ts'
import { createRpc } from '../../../scripts/devnet/economy.ts'
import {
  type Allocation,
  assertVestingPlan,
  MONTH_SECONDS,
  partWei,
  type VestingPlan,
  vestingWallets,
  walletNames,
} from '../../../scripts/vesting.ts'
import { type Anvil, KEYS, startAnvil } from '../../node/l1/anvil.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { workDir } from '../../support/dir.ts'
import { carol, Economy, economyConfig, operator } from '../../support/economy.ts'
import { testSettlement } from '../../support/settlement.ts'
import { started } from '../../support/started.ts'

const QUARTER = 3n
const SUPPLY = 1_000_000_000n * ETHER
/** When both chains begin, and the first wei vests. */
const START = economyConfig.genesis.l2Time
/** What the first of two investors gets: no whole number of wei a second, and half a wei short of one. */
const FIRST_INVESTOR = 61_728_394n * ETHER + 123_456_789_012_345_679n
const PLAN: VestingPlan = {
  start: START,
  allocations: [
    { part: 'community', beneficiary: alice.address, wei: partWei('community') },
    { part: 'investors', beneficiary: bob.address, wei: FIRST_INVESTOR },
    { part: 'investors', beneficiary: carol.address, wei: partWei('investors') - FIRST_INVESTOR },
    { part: 'team', beneficiary: carol.address, wei: partWei('team') },
    { part: 'liquidity', beneficiary: operator.address, wei: partWei('liquidity') },
  ],
}
let anvil: Anvil
let l1: L1Deployment
let world: Economy
let reader: PublicClient
let wallets: readonly Hex[]
t.before(async () => {
  anvil = await startAnvil('--timestamp', String(START - 1_000n))
  await anvil.rpc('evm_setAutomine', true)
  const settlement = testSettlement()
  const options = { rpcUrl: anvil.url, deployerKey: KEYS[0] as Hex, pollingIntervalMs: 10 }
  l1 = await deployL1({ ...options, settlement, vesting: PLAN })
  wallets = (l1.vesting ?? []).flatMap(({ wallet }) => wallet ?? [])
  reader = createPublicClient({ transport: http(anvil.url), pollingInterval: 10, cacheTime: 0 })
  world = await Economy.open(t.testdir(), {
    blockTime: QUARTER * MONTH_SECONDS,
    governance: { vestingStart: START },
  })
})
t.teardown(async () => {
  await world.close()
  await anvil.stop()
})

const token = { abi: OpenToken.abi as Abi, functionName: 'balanceOf' }
const balance = async (address: Hex): Promise<bigint> =>
  (await reader.readContract({ ...token, address: l1.token, args: [address] })) as bigint
const vested = async (address: Hex, name: string, ...args: unknown[]): Promise<bigint> =>
  (await reader.readContract({
    address,
    abi: Vesting.abi as Abi,
    functionName: name,
    args,
  })) as bigint

async function release(wallet: Hex): Promise<TransactionReceipt> {
  const account = privateKeyToAccount(KEYS[1] as Hex)
  const writer = createWalletClient({ account, transport: http(anvil.url) })
  const call = { address: wallet, abi: Vesting.abi as Abi, functionName: 'release' }
  const hash = await writer.writeContract({ ...call, args: [l1.token], chain: null })
  return reader.waitForTransactionReceipt({ hash })
}

/** A node with `openledger_supply`: its URL. */
async function serveSupply(): Promise<string> {
  const { chain, store } = world
  const bridged = await started(chain, new BridgedIndex(chain, store))
  const methods = [supplyMethods({ chain, bridged })]
  const server = new RpcServer({}, { chain, log: silentLog, methods })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  return url
}

t.test('a plan that is not the schedule, to the wei, is refused with what is wrong', async (t) => {
  const [community, first, second, team, liquidity] = PLAN.allocations as Allocation[]
  const rest = [community, team, liquidity] as Allocation[]
  const of = (...investors: Allocation[]): VestingPlan => ({
    start: START,
    allocations: [...rest, ...investors],
  })
  const [a, b] = [first, second] as [Allocation, Allocation]
  const rows: [VestingPlan, RegExp][] = [
    [of(a), /investors is given 61728394\.123456789012345679 OPEN and the schedule says 182900000/],
    [of(a, { ...b, wei: b.wei - 1n }), /: 1 wei too little$/],
    [of(a, { ...b, wei: b.wei + 1n }), /: 1 wei too much$/],
    [of(a, b, { ...a, wei: ETHER - 1n }), /allocation 6 is 0\.999999999999999999 OPEN; 1 OPEN is/],
    [of(a, { ...b, beneficiary: `0x${'00'.repeat(20)}` }), /allocation 5 is for the zero address/],
    [{ ...PLAN, start: 0n }, /its start is 0; seconds since 1970/],
    [of(...Array<Allocation>(198).fill(a)), /201 allocations, 200 at most/],
  ]
  for (const [plan, words] of rows) t.throws(() => assertVestingPlan(plan), words)
  t.doesNotThrow(() => assertVestingPlan(PLAN))
})

t.test('the wallets hold the published parts, and liquidity is out at once', async (t) => {
  const parts = await Promise.all(wallets.map(balance))
  const held = PLAN.allocations.slice(0, 4).map(({ wei }) => wei)
  t.same(parts, held)
  t.same(
    ['community', 'investors', 'team'].map((part) =>
      PLAN.allocations.filter((one) => one.part === part).reduce((sum, { wei }) => sum + wei, 0n),
    ),
    [617_100_000n, 182_900_000n, 150_000_000n].map((open) => open * ETHER),
  )
  t.equal(await balance(operator.address), 50_000_000n * ETHER)
})

t.test('at every quarter what is locked on L1 is what the L2 says, to the wei', async (t) => {
  const locked: Record<number, string> = {}
  const url = await serveSupply()
  const supply = () => createRpc(url)<Record<string, string>>('openledger_supply')
  for (let months = 0; months <= 48; months += Number(QUARTER)) {
    if (months > 0) await world.pass()
    const now = world.now
    t.equal(now, START + BigInt(months) * MONTH_SECONDS)
    await anvil.rpc('evm_setNextBlockTimestamp', Number(now))
    // Whoever asks, a wallet pays its owner; the other parts' times are the same block's.
    if (months % 6 === 0 && months > 0) await release(wallets[0] as Hex)
    else await anvil.mine()
    let onL1 = 0n
    for (const wallet of wallets) {
      const all = (await balance(wallet)) + (await vested(wallet, 'released', l1.token))
      onL1 += all - (await vested(wallet, 'vestedAmount', l1.token, now))
    }
    const said = await supply()
    t.equal(BigInt(said.locked as string), onL1, `month ${months}`)
    t.equal(BigInt(said.circulating as string), SUPPLY - onL1)
    t.equal(BigInt(said.vested as string), 950_000_000n * ETHER - onL1)
    locked[months] = said.locked as string
    if (months === 24) await shown(t, url, onL1)
  }
  t.equal(BigInt(locked[0] as string), 950_000_000n * ETHER)
  t.equal(BigInt(locked[12] as string), (617_100_000n * ETHER * 3n) / 4n + 332_900_000n * ETHER)
  t.equal(BigInt(locked[48] as string), 0n)
})

t.test('a wallet pays its owner what has vested, and no more', async (t) => {
  for (const wallet of wallets) await release(wallet)
  t.same(await Promise.all(wallets.map(balance)), [0n, 0n, 0n, 0n])
  t.equal(await balance(bob.address), FIRST_INVESTOR)
  t.equal(await balance(carol.address), 332_900_000n * ETHER - FIRST_INVESTOR)
})

/** What `openledger supply` says of both chains. */
async function shown(t: Test, url: string, onL1: bigint): Promise<void> {
  const rollup = join(workDir(t), 'rollup.json')
  const l1Contracts = { token: l1.token, ...walletNames(l1.vesting ?? []) }
  writeFileSync(rollup, encodeChainConfig({ ...economyConfig, l1Contracts }))
  t.same(
    vestingWallets(l1Contracts).map(({ part }) => part),
    ['community', 'investors', 'investors', 'team'],
  )
  const script = join(import.meta.dirname, '../../../scripts/openledger.mjs')
  const args = ['supply', '--url', url, '--rollup', rollup, '--l1-rpc', anvil.url]
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args, '--json'])
  const said = JSON.parse(stdout)
  t.equal(said.locked, onL1.toString())
  const wanted = PLAN.allocations.slice(0, 4).map(({ part, beneficiary, wei }) => ({
    part,
    beneficiary: beneficiary.toLowerCase(),
    allocated: wei.toString(),
  }))
  const lower = (text: string): string => text.toLowerCase()
  t.match(
    said.wallets.map((one: { beneficiary: string }) => ({
      ...one,
      beneficiary: lower(one.beneficiary),
    })),
    wanted,
  )
  const locked = said.wallets.reduce(
    (sum: bigint, one: { allocated: string; vested: string }) =>
      sum + BigInt(one.allocated) - BigInt(one.vested),
    0n,
  )
  t.equal(locked, onL1, 'the wallets it shows lock what the L2 says')
}
