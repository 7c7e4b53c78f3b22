import { readFileSync } from 'node:fs'
import { createLegacyTx } from '@ethereumjs/tx'
import { createContractAddress } from '@ethereumjs/util'
import t from 'tap'
import { keccak256 } from 'viem'
import { OP, OPENLEDGER, PRECOMPILE, STANDARD } from '../../genesis/addresses.ts'
import { genesisAlloc } from '../../genesis/alloc.ts'
import { decodeChainConfig, economyOf, encodeChainConfig } from '../../genesis/chain.ts'
import * as contracts from '../../genesis/contracts.generated.ts'
import { PREINSTALLS } from '../../genesis/preinstalls.ts'
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { commonOf } from '../../node/chain/common.ts'
import { createGenesis } from '../../node/chain/genesis.ts'
import { creationCodeOf } from '../../node/preinstalls.ts'
import { testConfig } from '../support/chain.ts'
import { Economy, economy, economyConfig } from '../support/economy.ts'

t.test('the system contracts are those whose deployment gives their address', async (t) => {
  // Nick's method: the EIP fixes the signature, so its sender, hence the address, depends on every byte
  // of the code. Creation code is 9 bytes that return what follows.
  const cases = [
    { at: STANDARD.beaconRoots, size: 0x61, r: 0x539n, s: 0x1b9b6eb1f0n },
    { at: STANDARD.history, size: 0x53, r: 0x539n, s: 0xaa12693182426612186309f02cfe8a80a0000n },
  ]
  const alloc = genesisAlloc(testConfig, creationCodeOf)
  for (const { at, size, r, s } of cases) {
    const code = codeIn(alloc, at).slice(2)
    t.equal(code.length, size * 2)
    const tx = createLegacyTx(
      {
        gasLimit: 0x3d090n,
        gasPrice: 0xe8d4a51000n,
        data: fromHex(`0x60${size.toString(16)}8060095f395ff3${code}`),
        v: 27n,
        r,
        s,
      },
      { common: commonOf(testConfig.l2ChainId), allowUnlimitedInitCodeSize: true },
    )
    t.equal(createContractAddress(tx.getSenderAddress(), 0n).toString(), at)
  }
  // The code hash that block explorers and EIP-1014 tooling know this deployer by.
  t.equal(
    keccak256(codeIn(alloc, STANDARD.create2Deployer)),
    '0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989',
  )
})

t.test('every contract stands where the address book says, and nobody owns anything', async (t) => {
  const alloc = genesisAlloc(economyConfig, creationCodeOf)
  const expected = [
    ...[OP, OPENLEDGER, STANDARD].flatMap((book) => Object.values<Hex>(book)),
    ...PREINSTALLS.map(({ address }) => address),
  ]
  t.same(Object.keys(alloc).sort(), [...expected].sort())
  for (const [address, account] of Object.entries(alloc)) {
    t.notOk('balance' in account)
    if ('deployment' in account) continue
    t.ok(('code' in account ? account.code : account.creationCode).length > 10, address)
    t.equal(account.nonce, 1n)
  }
})

t.test('the Solidity address book is the TypeScript one', async (t) => {
  const text = readFileSync(
    new URL('../../genesis/contracts/l2/Predeploys.sol', import.meta.url),
    'utf8',
  )
  const found = Object.fromEntries(
    [...text.matchAll(/constant (\w+) = (0x[0-9a-fA-F]{40})/g)].map(([, name, address]) => [
      (name as string).toLowerCase().replace(/_(\w)/g, (_, c: string) => c.toUpperCase()),
      address?.toLowerCase(),
    ]),
  )
  t.same(found, { ...OPENLEDGER, ...PRECOMPILE })
})

t.test('storage set in genesis is what the getters read', async (t) => {
  const world = await Economy.open(t.testdir())
  t.teardown(world.close)
  const rewards = { address: OPENLEDGER.rewardDistributor, abi: contracts.RewardDistributor.abi }
  const policy = { address: OPENLEDGER.splitPolicy, abi: contracts.SplitPolicy.abi }
  const l1Block = { address: OP.l1Block, abi: contracts.L1Block.abi }
  t.equal(await world.read(rewards, 'epochSeconds'), economy.epochSeconds)
  t.equal(await world.read(rewards, 'challengeSeconds'), economy.challengeSeconds)
  for (const name of ['governor', 'platformTreasury', 'stakersPool'] as const) {
    t.equal((await world.read<string>(policy, name)).toLowerCase(), economy[name])
  }
  const [token, decimals] = await world.read<[string, number]>(l1Block, 'gasPayingToken')
  t.equal(token.toLowerCase(), economyConfig.l1Contracts.token)
  t.equal(decimals, 18)
  for (const address of [OP.sequencerFeeVault, OP.baseFeeVault, OP.l1FeeVault]) {
    const vault = { address, abi: contracts.FeeVault.abi }
    t.equal((await world.read<string>(vault, 'recipient')).toLowerCase(), economy.feeRecipient)
  }
})

t.test('the genesis hash follows from the configuration alone', async (t) => {
  const hash = async (config = economyConfig): Promise<Hex> =>
    (await createGenesis(config, genesisAlloc(config, creationCodeOf))).block.hash
  t.equal(await hash(), await hash(decodeChainConfig(encodeChainConfig(economyConfig))))
  const other = { ...economy, epochSeconds: 61n }
  t.not(await hash({ ...economyConfig, economy: other }), await hash())
})

t.test(
  'without an economy holders govern, stakers are paid, and the operator for the platform',
  async (t) => {
    const { governor, platformTreasury, stakersPool, feeRecipient } = economyOf(testConfig)
    const batcher = testConfig.genesis.systemConfig.batcher
    t.same([governor, stakersPool], [OPENLEDGER.openTimelock, OPENLEDGER.staking])
    t.same([platformTreasury, feeRecipient], [batcher, batcher])
    const zero = encodeChainConfig({ ...economyConfig, economy: { ...economy, epochSeconds: 0n } })
    t.throws(() => decodeChainConfig(zero), { message: /economy\.epochSeconds is 0/ })
  },
)

function codeIn(alloc: ReturnType<typeof genesisAlloc>, at: Hex): Hex {
  const account = alloc[at]
  return account && 'code' in account ? account.code : '0x'
}
