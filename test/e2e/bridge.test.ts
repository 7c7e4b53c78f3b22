/**
 * The bridge both ways with viem's own op-stack actions, unmodified, on a real L1 and real node processes:
 * deposits, a withdrawal through all five states, fees; a vote that changes L1 by a message through it, as the README
 * tells it; and the books that the validator keeps of all that.
 */
import { join } from 'node:path'
import t from 'tap'
import {
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  erc20Abi,
  http,
  parseEther,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import {
  getL2TransactionHashes,
  getWithdrawals,
  publicActionsL1,
  publicActionsL2,
  walletActionsL1,
  walletActionsL2,
} from 'viem/op-stack'
import { OP } from '../../genesis/addresses.ts'
import { L2ToL1MessagePasser, SystemConfig } from '../../genesis/contracts.generated.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { until } from '../../scripts/devnet/economy.ts'
import { type Nodes, startL1, startNodes, writeEndpoints } from '../../scripts/devnet/stack.ts'
import { l1Chain, openLedgerChain } from '../../scripts/viem/chain.ts'
import { depositERC20Transaction } from '../../scripts/viem/deposit-erc20-transaction.ts'
import { workDir } from '../support/dir.ts'
import { makeCheckout, readSnippets, runSnippet } from '../support/snippets.ts'
import { checkedRpc } from './stack.ts'

const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
const POLL_MS = 200
/** OPEN of the account that votes, on L1; it waits for most of the time. */
const VOTER_OPEN = parseEther('42000000')
const VOTE_MS_MAX = 500_000

t.test('viem carries OPEN and messages both ways', { timeout: 540_000 }, async (t) => {
  const dir = workDir(t)
  const { l1, config } = await startL1(dir, ANY_PORT)
  t.teardown(() => l1.stop())
  const nodes: Nodes = await startNodes(dir, l1, ANY_PORT)
  t.teardown(() => nodes.sequencer.stop())
  t.teardown(() => nodes.validator.stop())

  const account = privateKeyToAccount(devnetAccount('deployer').privateKey)
  const L1 = l1Chain(config, l1.rpc)
  const L2 = openLedgerChain(config, nodes.sequencer.url)
  const poll = { pollingInterval: POLL_MS, cacheTime: 0 }
  const publicL1 = createPublicClient({ ...poll, chain: L1, transport: http() }).extend(
    publicActionsL1(),
  )
  const publicL2 = createPublicClient({ ...poll, chain: L2, transport: http() }).extend(
    publicActionsL2(),
  )
  const onL1 = createWalletClient({ ...poll, account, chain: L1, transport: http() })
  const walletL1 = onL1.extend(walletActionsL1())
  const walletL2 = createWalletClient({ ...poll, account, chain: L2, transport: http() }).extend(
    walletActionsL2(),
  )
  const token = { address: config.l1Contracts.token as `0x${string}`, abi: erc20Abi }

  await t.test('OPEN locked on L1 is minted on L2', async (t) => {
    const request = { to: account.address, mint: parseEther('50'), gas: 100_000n }
    const hash = await depositERC20Transaction(onL1, { request, targetChain: L2 })
    const receipt = await publicL1.waitForTransactionReceipt({ hash })
    const [l2Hash] = getL2TransactionHashes(receipt)
    const deposit = await publicL2.waitForTransactionReceipt({ hash: l2Hash as `0x${string}` })
    t.equal(deposit.status, 'success')
    t.equal(await publicL2.getBalance({ address: account.address }), parseEther('50'))
    const rpc = await checkedRpc(nodes.sequencer.url)
    const at = `0x${deposit.blockNumber.toString(16)}`
    t.match(await rpc('openledger_supply', at), { bridged: `${parseEther('50')}` })
    const portal = { ...token, functionName: 'balanceOf', args: [config.portal] } as const
    t.equal(await publicL1.readContract(portal), parseEther('50'), 'as much as L1 locks')
  })

  // It has an account of its own, so whatever else happens meanwhile does not matter to it, nor it to that.
  writeEndpoints(dir, { l1, config, ...nodes })
  const voter = devnetAccount('curator')
  const gift = { ...token, functionName: 'transfer', args: [voter.address, VOTER_OPEN] } as const
  await publicL1.waitForTransactionReceipt({ hash: await onL1.writeContract(gift) })
  const snippet = readSnippets().find(({ info }) => info === 'vote.ts')
  if (!snippet) throw new Error('no README has vote.ts')
  const voting = runSnippet(snippet, {
    dir: makeCheckout(join(dir, 'checkout'), dir),
    env: { VOTER_KEY: voter.privateKey },
    timeout: VOTE_MS_MAX,
  })
  voting.catch(() => {}) // it is looked at below

  await t.test('a message deposit runs on L2', async (t) => {
    const to = devnetAccount('bob').address
    const request = await publicL2.buildDepositTransaction({ account, to, value: 7n })
    const hash = await walletL1.depositTransaction(request)
    const receipt = await publicL1.waitForTransactionReceipt({ hash })
    const [l2Hash] = getL2TransactionHashes(receipt)
    const deposit = await publicL2.waitForTransactionReceipt({ hash: l2Hash as `0x${string}` })
    t.equal(deposit.status, 'success')
    t.equal(await publicL2.getBalance({ address: to }), 7n)
  })

  await t.test('a withdrawal goes through its five states and is paid', async (t) => {
    const value = parseEther('3')
    const to = devnetAccount('alice').address
    const request = await publicL1.buildInitiateWithdrawal({ account, to, value })
    const estimated = await publicL2.estimateInitiateWithdrawalGas({
      account,
      request: { to, value, gas: 100_000n },
    })
    t.ok(estimated > 21_000n)
    const initiated = await walletL2.initiateWithdrawal(request)
    const receipt = await publicL2.waitForTransactionReceipt({ hash: initiated })
    const [withdrawal] = getWithdrawals(receipt)
    if (!withdrawal) throw new Error('no withdrawal in the receipt')
    // anvil may answer with the state of a new block at the time of the old one: then the contract underflows.
    const status = () =>
      until('a status', () =>
        publicL1.getWithdrawalStatus({ receipt, targetChain: L2 }).catch(() => null),
      )
    const seen = new Set<string>([await status()])

    const { seconds } = await publicL1.getTimeToProve({ receipt, targetChain: L2 })
    t.ok(seconds >= 0)
    const { output } = await publicL1.waitToProve({ receipt, targetChain: L2 })
    seen.add(await status())
    const proof = await publicL2.buildProveWithdrawal({ account, output, withdrawal })
    t.ok((await publicL1.estimateProveWithdrawalGas({ ...proof, account })) > 21_000n)
    const proven = await walletL1.proveWithdrawal(proof)
    await publicL1.waitForTransactionReceipt({ hash: proven })
    seen.add(await status())

    const { withdrawalHash } = withdrawal
    const wait = await publicL1.getTimeToFinalize({ withdrawalHash, targetChain: L2 })
    t.ok(wait.period > 0)
    await publicL1.waitToFinalize({ withdrawalHash, targetChain: L2 })
    // viem waits for the proof's age only; the game's own windows come on top.
    await until('a finalizable withdrawal', async () => (await status()) === 'ready-to-finalize')
    seen.add(await status())
    const before = await publicL1.readContract({
      ...token,
      functionName: 'balanceOf',
      args: [to],
    })
    const finalized = await walletL1.finalizeWithdrawal({ targetChain: L2, withdrawal })
    t.equal((await publicL1.waitForTransactionReceipt({ hash: finalized })).status, 'success')
    seen.add(await status())
    const after = await publicL1.readContract({ ...token, functionName: 'balanceOf', args: [to] })
    t.equal(after - before, value)
    t.same(
      [...seen],
      [
        'waiting-to-prove',
        'ready-to-prove',
        'waiting-to-finalize',
        'ready-to-finalize',
        'finalized',
      ],
    )
  })

  await t.test('games are read as viem reads them', async (t) => {
    const games = await publicL1.getGames({ targetChain: L2 })
    t.ok(games.length > 0)
    const game = await publicL1.getGame({ targetChain: L2, l2BlockNumber: 0n })
    t.ok(game.l2BlockNumber > 0n)
    const output = await publicL2.request({
      method: 'optimism_outputAtBlock',
      params: [`0x${game.l2BlockNumber.toString(16)}`],
    } as never)
    t.equal((output as { outputRoot: string }).outputRoot, game.rootClaim)
    const next = await publicL1.getTimeToNextGame({ targetChain: L2, l2BlockNumber: 0n })
    t.ok(next.interval >= 0)
  })

  await t.test('fees are estimated as on any OP Stack chain', async (t) => {
    const call = { account, to: devnetAccount('bob').address, value: 1n }
    t.ok((await publicL2.estimateL1Fee(call)) > 0n)
    t.ok((await publicL2.estimateL1Gas(call)) > 0n)
    t.equal(await publicL2.estimateOperatorFee(call), 0n)
    t.ok((await publicL2.estimateTotalFee(call)) > 0n)
    t.ok((await publicL2.estimateTotalGas(call)) > 21_000n)
    t.ok((await publicL2.getL1BaseFee()) > 0n)
    const contract = {
      account,
      address: OP.l2ToL1MessagePasser,
      abi: L2ToL1MessagePasser.abi,
      functionName: 'initiateWithdrawal',
      args: [account.address, 0n, '0x'],
    } as const
    t.ok((await publicL2.estimateContractL1Fee(contract)) > 0n)
    t.ok((await publicL2.estimateContractTotalFee(contract)) > 0n)
  })

  await t.test('a vote on L2 changes SystemConfig on L1, and the L2 follows', async (t) => {
    t.match(await voting, /blocks have 61000000n/)
    const system = { address: config.l1SystemConfig as `0x${string}`, abi: SystemConfig.abi }
    const read = (functionName: 'gasLimit' | 'owner') =>
      publicL1.readContract({ ...system, functionName })
    t.equal(await read('gasLimit'), 61_000_000n)
    t.equal(`${await read('owner')}`.toLowerCase(), config.l1Contracts.governanceRelay)
    const { gasLimit } = await publicL2.getBlock()
    t.equal(gasLimit, 61_000_000n)
  })

  await t.test("the validator's books balance, and the burn is seen", async (t) => {
    const { data, to } = {
      to: OP.l2ToL1MessagePasser,
      data: encodeFunctionData({ abi: L2ToL1MessagePasser.abi, functionName: 'burn' }),
    }
    const hash = await walletL2.sendTransaction({ to, data })
    const { blockNumber } = await publicL2.waitForTransactionReceipt({ hash })
    const rpc = await checkedRpc(nodes.validator.url)
    type Supply = Record<'minted' | 'burned' | 'withdrawn' | 'finalized' | 'locked', string> & {
      block: number
      lockedCheckedAt: number
    }
    const supply = await until('the burn verified', async () => {
      const found = await rpc<Supply>('openledger_bridgeBooks')
      return BigInt(found.block) >= blockNumber && BigInt(found.finalized) > 0n && found
    })
    t.match(supply, {
      minted: (parseEther('50') + VOTER_OPEN).toString(),
      burned: parseEther('3').toString(),
      withdrawn: parseEther('3').toString(),
      finalized: parseEther('3').toString(),
      locked: (parseEther('47') + VOTER_OPEN).toString(),
    })
    t.ok(supply.lockedCheckedAt > 0)
    t.match(await rpc('openledger_proverStatus'), { blockMismatch: null })
    t.match(await rpc('openledger_settlementStatus'), { alarms: [] })
  })
})
