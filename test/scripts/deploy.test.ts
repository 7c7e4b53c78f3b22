/** A network of one's own: what a plan may say, the deployment on a real L1, and who may change its contracts. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { type ChainConfig, decodeChainConfig } from '../../genesis/chain.ts'
import { SystemConfig } from '../../genesis/contracts.generated.ts'
import { type Hex, ZERO_ADDRESS } from '../../node/base/bytes.ts'
import { configure } from '../../node/configure.ts'
import { deployL1 } from '../../scripts/deploy-l1.ts'
import { readDeployPlan, withdrawalSeconds } from '../../scripts/deploy-plan.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { examineL1 } from '../../scripts/doctor/l1.ts'
import { examineOwners } from '../../scripts/doctor/owners.ts'
import { KEYS, startAnvil } from '../node/l1/anvil.ts'
import { alice, bob } from '../support/chain.ts'
import { workDir } from '../support/dir.ts'
import { carol, economyConfig } from '../support/economy.ts'
import { testSettlement } from '../support/settlement.ts'

const PLAN = {
  l2ChainId: 16_120,
  sequencer: alice.address,
  batcher: bob.address,
  validators: [carol.address],
  threshold: 1,
  vesting: {
    start: '2026-12-01T00:00:00Z',
    allocations: [
      { part: 'community', beneficiary: alice.address, open: '617100000' },
      { part: 'investors', beneficiary: bob.address, open: '82900000.000000000000000001' },
      { part: 'investors', beneficiary: carol.address, open: '99999999.999999999999999999' },
      { part: 'team', beneficiary: carol.address, open: '150000000' },
      { part: 'liquidity', beneficiary: alice.address, open: '50000000' },
    ],
  },
}
const deployerKey = KEYS[0] as Hex

t.test(
  'a plan is read whole, and governance owns what has an owner unless it says otherwise',
  (t) => {
    const plan = readDeployPlan(JSON.stringify(PLAN))
    t.match(plan, { l2ChainId: 16_120, settlement: { owner: 'governance', threshold: 1 } })
    t.equal(plan.economy.governance.vestingStart, BigInt(Date.UTC(2026, 11, 1) / 1_000))
    t.ok(plan.economy.governance.exitWindow > withdrawalSeconds(plan.settlement))
    const byHand = { ...PLAN, owner: bob.address, vesting: undefined, holder: carol.address }
    const other = readDeployPlan(JSON.stringify(byHand))
    t.match(other, { settlement: { owner: bob.address }, holder: carol.address })
    t.equal(other.economy.governance.vestingStart, 0n)
    t.end()
  },
)

t.test(
  'a plan that cannot be is refused before anything is sent, by the name of the field',
  (t) => {
    const [first, ...rest] = PLAN.vesting.allocations
    const allocations = (change: object) => ({
      vesting: { ...PLAN.vesting, allocations: [{ ...first, ...change }, ...rest] },
    })
    const rows: [object, RegExp][] = [
      [{ sequencr: alice.address }, /^sequencr is unknown: did you mean sequencer\?$/],
      [{ batcher: undefined }, /^batcher is missing; an address is wanted/],
      [{ batcher: '0xAb5801a7D398351b8bE11C439e05C5B3259aeC9b' }, /with a right checksum/],
      [{ threshold: 2 }, /^threshold is 2; of 1 validators 1 to all must sign$/],
      [{ validators: [carol.address, carol.address] }, /^validators has 0x\w{40} twice$/],
      [{ gasLimit: 1 }, /^gasLimit is 1; 21000000 to 200000000$/],
      [
        { governance: { exitWindow: 604_800 } },
        /^governance.exitWindow is 604800 s; .* 691200 s to/,
      ],
      [{ settlement: { upgradeSeconds: 9 } }, /^settlement.upgradeSeconds is 9 s; .* a withdrawal/],
      [{ governance: { unbondingSeconds: 9 } }, /stake unbonds in 9 s; it must take longer/],
      [{ governance: { vestingStart: 9 } }, /^governance.vestingStart is unknown/],
      [{ l2ChainId: 0 }, /^l2ChainId is 0/],
      [{ l2ChainId: '9007199254740992' }, /^l2ChainId is 9007199254740992; 9007199254740991 at/],
      [{ settlement: { gameType: 2 ** 32 } }, /^settlement.gameType is 4294967296; 4294967295 at/],
      [{ governance: { votingDelay: '1'.repeat(30) } }, /^governance.votingDelay is 1{30}; 90/],
      [{ sequencer: ZERO_ADDRESS }, /^sequencer is the zero address/],
      [{ validators: [ZERO_ADDRESS] }, /^validators\[0\] is the zero address/],
      [allocations({ beneficiary: ZERO_ADDRESS }), /\[0\].beneficiary is the zero address/],
      [{ holder: alice.address }, /^holder cannot be beside vesting/],
      [{ vesting: { ...PLAN.vesting, start: 'soon' } }, /^vesting.start is 'soon'; a date such as/],
      // Another time on every machine.
      [{ vesting: { ...PLAN.vesting, start: '2026-12-01T00:00:00' } }, /^vesting.start is '2026/],
      // Milliseconds.
      [
        { vesting: { ...PLAN.vesting, start: 1_796_083_200_000 } },
        /its start is 1796083200000; sec/,
      ],
      [
        allocations({ part: 'friends' }),
        /^vesting.allocations\[0\].part is 'friends'; it may be comm/,
      ],
      [allocations({ open: 617_100_000 }), /\[0\].open is 617100000; OPEN as text is wanted/],
      [
        allocations({ open: '617100000.0000000000000000001' }),
        /\[0\].open is "617100000.0000000000/,
      ],
      [
        allocations({ open: '617099999.999999999999999999' }),
        /community is given .* 1 wei too little/,
      ],
    ]
    for (const [change, words] of rows)
      t.throws(() => readDeployPlan(JSON.stringify({ ...PLAN, ...change })), { message: words })
    t.throws(() => readDeployPlan('{'), /the file is no JSON/)
    t.throws(() => readDeployPlan('[]'), /the file must be an object/)
    t.end()
  },
)

t.test('the command deploys, and the doctor says that governance owns the contracts', async (t) => {
  const anvil = await startAnvil()
  t.teardown(() => anvil.stop())
  await anvil.rpc('evm_setAutomine', true)
  const dir = workDir(t)
  const path = join(dir, 'plan.json')
  writeFileSync(path, JSON.stringify(PLAN))
  const out = join(dir, 'network')
  const script = join(import.meta.dirname, '../../scripts/openledger.mjs')
  const openledger = (...args: string[]) =>
    promisify(execFile)(
      process.execPath,
      [script, 'deploy', path, '--l1-rpc', anvil.url, ...args],
      {
        env: { ...process.env, OPENLEDGER_KEY: deployerKey },
      },
    )
  t.match(
    (await openledger('--dry-run')).stdout,
    /investors +0x\w{40} 82900000.0{17}1 OPEN over 36/,
  )
  // Wider than its field in a contract of the L2, which only the genesis finds.
  const governance = { votingPeriod: 2 ** 32 }
  writeFileSync(path, JSON.stringify({ ...PLAN, governance }))
  await t.rejects(openledger('--out', out), /no chain comes of it: /)
  writeFileSync(path, JSON.stringify(PLAN))
  t.equal(await anvil.rpc('eth_blockNumber'), '0x0', 'neither sent anything')

  await openledger('--out', out)
  const config = decodeChainConfig(readFileSync(join(out, 'rollup.json'), 'utf8'))
  t.equal(config.economy?.governance?.vestingStart, BigInt(Date.UTC(2026, 11, 1) / 1_000))
  t.equal(Object.keys(config.l1Contracts).filter((name) => /Vesting\d$/.test(name)).length, 4)
  // The owner is asked where the right L1 is, which need not be the first endpoint.
  const { options } = configure({ 'l1-rpc': `http://127.0.0.1:9,${anvil.url}` }, {})
  const found = await examineL1(options, config)
  const relay = config.l1Contracts.governanceRelay
  t.match(
    found.filter(({ name }) => name === 'l1 owner'),
    [
      {
        state: 'ok',
        detail: `SystemConfig, AnchorStateRegistry, DisputeGameFactory: GovernanceRelay ${relay}, the hand of OpenTimelock`,
      },
    ],
  )
  await t.rejects(openledger('--out', out), /has a network already: choose another --out/)

  await t.test('a relay of another chain is found out', async (t) => {
    const portal = `0x${'77'.repeat(20)}` as Hex
    const [finding] = await examineOwners(anvil.url, { ...config, portal })
    t.match(finding, {
      state: 'wrong',
      detail: new RegExp(`relay of ${OPENLEDGER.openTimelock}`, 'i'),
    })
  })
})

t.test('a key that owns the contracts is warned of, an owner of zero is not', async (t) => {
  const anvil = await startAnvil()
  t.teardown(() => anvil.stop())
  await anvil.rpc('evm_setAutomine', true)
  const { batchInbox, genesis } = economyConfig
  const system = { batchInbox, values: genesis.systemConfig }
  const start = async (owner: Hex): Promise<ChainConfig> => {
    const settlement = testSettlement({ owner })
    const options = { rpcUrl: anvil.url, deployerKey, settlement, system, pollingIntervalMs: 10 }
    const l1 = await deployL1(options)
    const { portal, anchorStateRegistry, disputeGameFactory } = l1
    const systemConfig = l1.systemConfig as Hex
    const l1Contracts = { systemConfig, anchorStateRegistry, disputeGameFactory }
    return { ...economyConfig, portal, l1Contracts }
  }
  const chainId = Number(await anvil.rpc('eth_chainId'))
  const deployer = createWallet({ privateKey: deployerKey }, { rpc: anvil.url, chainId })
  const owned = await start(deployer.address)
  const names = 'SystemConfig, AnchorStateRegistry, DisputeGameFactory'
  t.match(await examineOwners(anvil.url, owned), [
    { state: 'warn', detail: `${names}: the account ${deployer.address}` },
  ])
  const frozen = await start(`0x${'00'.repeat(20)}`)
  t.match(await examineOwners(anvil.url, frozen), [
    { state: 'ok', detail: `${names}: nobody's, and never change` },
  ])

  const address = owned.l1Contracts.systemConfig as Hex
  const abi = SystemConfig.abi as never
  await deployer.send({ address, abi, functionName: 'transferOwnership', args: [bob.address] })
  const [, offer] = await examineOwners(anvil.url, owned)
  t.match(offer, { state: 'warn', detail: `SystemConfig is offered to ${bob.address}` })
})
