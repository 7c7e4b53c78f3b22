/** The published schedule on both chains: wallets on a real L1, the function of time on L2, one clock. */
import t from 'tap'
import {
  type Abi,
  createPublicClient,
  createWalletClient,
  http,
  type PublicClient,
  type TransactionReceipt,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OpenToken, Vesting } from '../../../genesis/contracts.generated.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { BridgedIndex } from '../../../node/chain/bridged.ts'
import { supplyMethods } from '../../../node/rpc/methods/supply.ts'
import { RpcServer } from '../../../node/rpc/server.ts'
import { deployL1, type L1Deployment, MONTH_SECONDS } from '../../../scripts/deploy-l1.ts'
import { createRpc } from '../../../scripts/devnet/economy.ts'
import { type Anvil, KEYS, startAnvil } from '../../node/l1/anvil.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { carol, Economy, economyConfig, operator } from '../../support/economy.ts'
import { testSettlement } from '../../support/settlement.ts'
import { started } from '../../support/started.ts'

const QUARTER = 3n
const SUPPLY = 1_000_000_000n * ETHER
/** When both chains begin, and the first wei vests. */
const START = economyConfig.genesis.l2Time
const PLAN = {
  start: START,
  community: alice.address,
  investors: bob.address,
  team: carol.address,
  liquidity: operator.address,
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
  wallets = [l1.communityVesting, l1.investorsVesting, l1.teamVesting] as Hex[]
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

/** A node's `openledger_supply`. */
async function openSupply(): Promise<() => Promise<Record<string, string>>> {
  const { chain, store } = world
  const bridged = await started(chain, new BridgedIndex(chain, store))
  const methods = [supplyMethods({ chain, bridged })]
  const server = new RpcServer({}, { chain, log: silentLog, methods })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  return () => createRpc(url)('openledger_supply')
}

t.test('the wallets hold the published parts, and liquidity is out at once', async (t) => {
  const parts = await Promise.all(wallets.map(balance))
  t.same(
    parts,
    [617_100_000n, 182_900_000n, 150_000_000n].map((open) => open * ETHER),
  )
  t.equal(await balance(operator.address), 50_000_000n * ETHER)
})

t.test('at every quarter what is locked on L1 is what the L2 says, to the wei', async (t) => {
  const locked: Record<number, string> = {}
  const supply = await openSupply()
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
  }
  t.equal(BigInt(locked[0] as string), 950_000_000n * ETHER)
  t.equal(BigInt(locked[12] as string), (617_100_000n * ETHER * 3n) / 4n + 332_900_000n * ETHER)
  t.equal(BigInt(locked[48] as string), 0n)
})

t.test('a wallet pays its owner what has vested, and no more', async (t) => {
  for (const wallet of wallets) await release(wallet)
  t.same(await Promise.all(wallets.map(balance)), [0n, 0n, 0n])
  t.equal(await balance(bob.address), 182_900_000n * ETHER)
  t.equal(await balance(carol.address), 150_000_000n * ETHER)
})
