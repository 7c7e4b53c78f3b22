/** What an agent may spend is what its owner set, whatever the agent is made to do; and what stands behind it. */
import t from 'tap'
import { encodeFunctionData, erc20Abi, hashMessage } from 'viem'
import { OP, OPENLEDGER } from '../../../genesis/addresses.ts'
import { InferenceEscrow } from '../../../genesis/contracts.generated.ts'
import { type Hex, ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import {
  accountAt,
  bonds,
  createAccount,
  identity,
  registerAgent,
  wopen,
} from '../../support/agents.ts'
import { alice, bob, CHAIN_ID, ETHER } from '../../support/chain.ts'
import { type Contract, carol, Economy, GOVERNANCE, operator } from '../../support/economy.ts'
import { hashOf } from '../../support/model.ts'
import { accountOf } from '../../support/open.ts'

const FOREVER = 1n << 40n
/** Tests begin with one; blocks are 100 s apart. */
const PERIOD = 2_000n
const deposit = encodeFunctionData({
  abi: InferenceEscrow.abi,
  functionName: 'depositFor',
  args: [bob.address],
})
const DEPOSIT_FOR = deposit.slice(0, 10) as Hex
const transfer = (to: Hex, amount: bigint): Hex =>
  encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [to, amount] })
const TRANSFER = transfer(bob.address, 0n).slice(0, 10) as Hex

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir(), { blockTime: 100n })
})
t.teardown(() => world.close())

/** Alice's account with 10 OPEN and 5 WOPEN; bob is its key: 1 OPEN an action, 2 a period, half an OPEN at once. */
async function open(name: string): Promise<{
  account: Contract
  can: (...call: unknown[]) => Promise<string>
}> {
  const account = await createAccount(world, alice, hashOf(name))
  await world.pay(alice, account.address, 10n * ETHER)
  await world.send(alice, wopen, 'deposit', [], { value: 5n * ETHER })
  await world.send(alice, wopen, 'transfer', [account.address, 5n * ETHER])
  await world.send(alice, account, 'setKey', [bob.address, FOREVER, 60n])
  for (const [target, selector] of [
    [OPENLEDGER.inferenceEscrow, DEPOSIT_FOR],
    [OP.wopen, TRANSFER],
    [account.address, DEPOSIT_FOR],
  ]) {
    await world.send(alice, account, 'allow', [bob.address, target, selector, true])
  }
  await world.pass(PERIOD - (world.now % PERIOD))
  const cap = [bob.address, ZERO_ADDRESS, ETHER, 2n * ETHER, PERIOD, ETHER / 2n]
  await world.send(alice, account, 'setCap', cap)
  const can = (...call: unknown[]): Promise<string> => world.refusal(bob, account, 'execute', call)
  return { account, can }
}

t.test(
  'a key calls what it was allowed, within its caps, wrapped and plain OPEN counted as one',
  async (t) => {
    const { account, can } = await open('caps')
    const escrow = OPENLEDGER.inferenceEscrow
    t.equal(await can(escrow, ETHER / 2n, deposit), 'accepted')
    t.match(await can(carol.address, 1n, '0x'), `NotAllowed(${carol.address},0x00000000)`)
    t.match(await can(escrow, 0n, '0x12345678'), /^NotAllowed/)
    t.match(await can(account.address, 0n, deposit), /^NotAllowed/, 'never the account itself')
    t.match(await can(escrow, 2n * ETHER, deposit), /^AboveActionCap/)
    t.match(await can(escrow, ETHER, deposit), /^NeedsDelay/)
    t.match(await can(OP.wopen, 0n, transfer(carol.address, 2n * ETHER)), /^AboveActionCap/)
    for (let i = 0; i < 2; i++) {
      await world.send(bob, account, 'execute', [escrow, ETHER / 2n, deposit])
      await world.send(bob, account, 'execute', [OP.wopen, 0n, transfer(carol.address, ETHER / 2n)])
    }
    t.equal(await can(escrow, 1n, deposit), `AbovePeriodCap(${ZERO_ADDRESS},1,0)`)
    t.equal(
      await can(OP.wopen, 0n, transfer(carol.address, 1n)),
      `AbovePeriodCap(${ZERO_ADDRESS},1,0)`,
    )
    t.match(await world.refusal(carol, account, 'execute', [escrow, 1n, deposit]), /^KeyNotValid/)
    await world.pass(PERIOD)
    t.equal(await can(escrow, 1n, deposit), 'accepted')
    t.equal(await world.read(wopen, 'balanceOf', [carol.address]), ETHER)
  },
)

t.test('changing a period does not give back what is spent', async (t) => {
  const { account, can } = await open('change')
  const escrow = OPENLEDGER.inferenceEscrow
  await world.send(bob, account, 'execute', [escrow, ETHER / 2n, deposit])
  const tighter = [bob.address, ZERO_ADDRESS, ETHER, ETHER / 2n, 7n * PERIOD, ETHER / 2n]
  await world.send(alice, account, 'setCap', tighter)
  t.match(await can(escrow, 1n, deposit), /^AbovePeriodCap/)
})

t.test('a token of another kind needs a cap of its own', async (t) => {
  const { account, can } = await open('token')
  const token = OPENLEDGER.governedOpen
  await world.send(alice, account, 'allow', [bob.address, token, TRANSFER, true])
  t.equal(await can(token, 0n, transfer(carol.address, 1n)), `AboveActionCap(${token},1,0)`)
})

t.test('a large amount waits, and the owner can cancel it', async (t) => {
  const { account } = await open('large')
  const call = [OPENLEDGER.inferenceEscrow, ETHER, deposit] as const
  const { events } = await world.send(bob, account, 'propose', call)
  t.match(events[0], { name: 'Proposed', args: { id: 1n, value: ETHER } })
  const execute = (id: bigint, changed = call, who = bob): Promise<string> =>
    world.refusal(who, account, 'executeProposed', [id, ...changed])
  t.match(await execute(1n), /^NotReady/)
  await world.send(bob, account, 'propose', call)
  await world.pass(60n)
  t.match(await execute(1n, [call[0], ETHER + 1n, deposit]), /^WrongCall/)
  t.match(await execute(1n, call, carol), /^KeyNotValid/)
  await world.send(alice, account, 'cancel', [2n])
  t.match(await execute(2n), /^UnknownProposal/)
  t.match(await world.refusal(bob, account, 'cancel', [1n]), /^NotOwner/)
  await world.send(bob, account, 'executeProposed', [1n, ...call])
  t.match(await execute(1n), /^UnknownProposal/, 'once')
  await world.sendMany(bob, account, 'propose', Array(16).fill(call))
  t.match(await world.refusal(bob, account, 'propose', call), /^TooManyProposals/)
})

t.test('the owner stops everything, and a removed or expired key is nobody', async (t) => {
  const { account, can } = await open('stop')
  const call = [OPENLEDGER.inferenceEscrow, 1n, deposit]
  await world.send(bob, account, 'propose', call)
  await world.send(alice, account, 'stop')
  t.equal(await can(...call), 'IsStopped()')
  await world.pass(60n)
  t.equal(await world.refusal(bob, account, 'executeProposed', [1n, ...call]), 'IsStopped()')
  t.match(await world.refusal(bob, account, 'resume'), /^NotOwner/)
  await world.send(alice, account, 'resume')
  t.equal(await can(...call), 'accepted')
  await world.send(alice, account, 'removeKey', [bob.address])
  t.match(await can(...call), /^KeyNotValid/)
  await world.send(alice, account, 'setKey', [bob.address, FOREVER, 0n])
  t.match(await can(...call), /^NotAllowed/, 'a new life begins with nothing')
  t.match(await world.refusal(bob, account, 'executeProposed', [1n, ...call]), /^UnknownProposal/)
  await world.send(alice, account, 'setKey', [bob.address, world.now + 100n, 0n])
  await world.pass(200n)
  t.match(await can(...call), /^KeyNotValid/)
  const all = [carol.address, 10n * ETHER, '0x']
  await world.send(alice, account, 'executeAsOwner', all)
  t.equal(world.balance(account.address), 0n, 'the owner takes everything at any time')
  t.match(await world.refusal(bob, account, 'executeAsOwner', all), /^NotOwner/)
})

t.test('an account signs as its owner does, for itself alone', async (t) => {
  const account = await createAccount(world, alice)
  const second = await createAccount(world, alice, hashOf('second'))
  t.not(account.address, second.address)
  const hash = hashMessage('a wallet to be')
  const sign = (signer: typeof alice): Promise<Hex> =>
    accountOf(signer).signTypedData({
      domain: {
        name: 'OpenLedger',
        version: '1',
        chainId: CHAIN_ID,
        verifyingContract: account.address,
      },
      types: { AgentAccountMessage: [{ name: 'hash', type: 'bytes32' }] },
      primaryType: 'AgentAccountMessage',
      message: { hash },
    })
  const valid = async (at: Contract, signature: Hex): Promise<boolean> =>
    (await world.read(at, 'isValidSignature', [hash, signature])) === '0x1626ba7e'
  t.ok(await valid(account, await sign(alice)))
  t.notOk(await valid(second, await sign(alice)))
  t.notOk(await valid(account, await sign(bob)))
  t.match(
    await world.refusal(bob, accountAt(account.address), 'initialize', [bob.address]),
    /^NotFactory/,
  )
})

t.test(
  'a bond belongs to the agent, waits on its way out, and is slashed by verdict alone',
  async (t) => {
    const id = await registerAgent(world, alice)
    t.match(await world.refusal(bob, bonds, 'bond', [7n], 1n), /^ERC721NonexistentToken/)
    await world.send(alice, bonds, 'bond', [id], { value: 3n * ETHER })
    await world.send(bob, bonds, 'bond', [id], { value: ETHER })
    t.match(await world.refusal(bob, bonds, 'requestExit', [id, 1n]), /^NotOwner/)
    t.match(
      await world.refusal(alice, bonds, 'requestExit', [id, 5n * ETHER]),
      /^AmountOutOfBounds/,
    )
    await world.send(alice, bonds, 'requestExit', [id, 3n * ETHER])
    t.match(await world.refusal(alice, bonds, 'withdraw', [id]), /^NotYetAvailable/)
    const slash = [id, 2n * ETHER, carol.address, hashOf('verdict')]
    t.match(await world.refusal(bob, bonds, 'slash', slash), /^NotSlasher/)
    t.match(
      await world.refusal(operator, bonds, 'slash', [
        id,
        1n,
        carol.address,
        `0x${'00'.repeat(32)}`,
      ]),
      'NoVerdict()',
    )
    const before = world.balance(carol.address)
    await world.send(operator, bonds, 'slash', slash)
    t.equal(world.balance(carol.address) - before, 2n * ETHER, 'one bonded, one that was leaving')
    await world.send(alice, identity, 'transferFrom', [alice.address, bob.address, id])
    await world.pass(GOVERNANCE.unbondingSeconds)
    t.match(await world.refusal(alice, bonds, 'withdraw', [id]), /^NotOwner/)
    await world.send(bob, bonds, 'withdraw', [id])
    t.equal(world.balance(bonds.address), 0n)
    t.equal(await world.read(bonds, 'totalHeld'), 0n)
  },
)
