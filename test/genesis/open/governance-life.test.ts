/**
 * One proposal's whole life on both chains: voted on L2, through the exit window, the bridge and the relay on a real L1,
 * until SystemConfig says something else and derivation reads it. The same vote sets a precompile's price and replaces a
 * predeploy's code.
 */
import t from 'tap'
import { type Abi, encodeFunctionData, keccak256, parseAbi } from 'viem'
import { OP, OPENLEDGER, PRECOMPILE } from '../../../genesis/addresses.ts'
import {
  GovernanceRelay,
  PrecompileGas,
  SystemConfig,
} from '../../../genesis/contracts.generated.ts'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { applyConfigLogs } from '../../../node/derive/system-config.ts'
import { BridgeL1, type Output, type Withdrawal, withdrawalHash } from '../../support/bridge.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { type Contract, carol, Economy, economyConfig } from '../../support/economy.ts'
import { type Action, governor, propose, votes } from '../../support/open.ts'

const MILLION = 1_000_000n * ETHER
const GAS_LIMIT = 90_000_000n
const EXIT_WINDOW = 400n
const abi = parseAbi([
  'function initiateWithdrawal(address target, uint256 gasLimit, bytes data) payable',
  'function upgrade(address target, address source) returns (bytes32)',
  'function answer() view returns (uint256)',
])
const passer: Contract = { address: OP.l2ToL1MessagePasser, abi }
const upgrade: Contract = { address: PRECOMPILE.upgrade, abi }
const prices: Contract = { address: OPENLEDGER.precompileGas, abi: PrecompileGas.abi }
/** What the market becomes: answers 42 to whatever is asked. */
const SOURCE: Hex = `0x${'c0'.repeat(20)}`
const CODE: Hex = '0x602a60005260206000f3'
const values = economyConfig.genesis.systemConfig

t.test(
  'a vote on L2 changes L1, a price and a contract, after everybody could leave',
  async (t) => {
    const system = { batchInbox: economyConfig.batchInbox, values }
    const bridge = await BridgeL1.start(t, { owner: 'governance' }, { system })
    const { governanceRelay: relay, systemConfig } = bridge.l1 as Required<typeof bridge.l1>
    const world = await Economy.open(t.testdir(), {
      blockTime: 10n,
      governance: { exitWindow: EXIT_WINDOW },
      alloc: { [alice.address]: { balance: 60n * MILLION }, [SOURCE]: { code: CODE, nonce: 1n } },
    })
    t.teardown(world.close)
    await world.send(alice, votes, 'deposit', [], { value: 50n * MILLION })
    await world.send(alice, votes, 'delegate', [alice.address])

    for (const owned of [systemConfig, bridge.l1.anchorStateRegistry, bridge.l1.disputeGameFactory])
      t.equal((await bridge.read<Hex>(owned, 'owner')).toLowerCase(), relay)
    t.equal(
      await bridge.refusal({ to: systemConfig, fn: 'setGasLimit', args: [GAS_LIMIT] }),
      'OwnableUnauthorizedAccount',
      'not even who deployed it',
    )

    // --- L2: words, votes, exit window
    const calls = [{ target: systemConfig, value: 0n, data: setGasLimit(GAS_LIMIT) }]
    const approve = encodeFunctionData({
      abi: GovernanceRelay.abi as Abi,
      functionName: 'approve',
      args: [calls],
    })
    const actions: Action[] = [
      { to: passer, name: 'initiateWithdrawal', args: [relay, 300_000n, approve] },
      { to: prices, name: 'setPercent', args: [PRECOMPILE.attribute, 150n] },
      { to: upgrade, name: 'upgrade', args: [OPENLEDGER.market, SOURCE] },
    ]
    const { id, call } = await propose(world, alice, actions, 'More gas, a dearer precompile, 42')
    await world.pass(20n)
    await world.send(alice, governor, 'castVote', [id, 1])
    await world.pass(60n)
    await world.send(bob, governor, 'queue', call)
    const queuedAt = world.now
    t.match(
      await world.refusal(bob, governor, 'execute', call),
      'TimelockUnexpectedOperationState(',
    )

    // --- whoever disagrees leaves: a withdrawal takes less than the window
    const leaving = await world.send(
      carol,
      passer,
      'initiateWithdrawal',
      [carol.address, 100_000n, '0x'],
      {
        value: 5n,
      },
    )
    await finalize(bridge, world, withdrawalOf(leaving.events))
    t.equal(await bridge.balanceOf(carol.address), 5n)
    await world.pass(EXIT_WINDOW - (world.now - queuedAt))
    const { events } = await world.send(bob, governor, 'execute', call)

    // --- L2 has changed
    t.equal(await world.read(prices, 'percentOf', [PRECOMPILE.attribute]), 150n)
    t.equal(await world.read({ address: OPENLEDGER.market, abi }, 'answer'), 42n)

    // --- the message through the bridge; nothing happens on L1 before its time
    const message = withdrawalOf(events)
    t.match(message, { sender: OPENLEDGER.openTimelock, target: relay })
    const byHand = { address: relay, abi: GovernanceRelay.abi as Abi, functionName: 'approve' }
    await t.rejects(
      bridge.reader.simulateContract({ ...byHand, args: [calls], account: alice.address }),
      /NotGovernance/,
    )
    t.equal(await bridge.refusal({ to: relay, fn: 'execute', args: [1n, calls] }), 'NotApproved')
    const forged = { ...message, sender: alice.address.toLowerCase() as Hex }
    t.equal(withdrawalHash(forged) === withdrawalHash(message), false)
    await finalize(bridge, world, message)
    t.equal(await bridge.read(relay, 'approvedCount'), 1n)

    // --- anybody carries it out, what was approved alone, and once
    const other = [{ ...(calls[0] as (typeof calls)[0]), data: setGasLimit(30_000_000n) }]
    t.equal(await bridge.refusal({ to: relay, fn: 'execute', args: [1n, other] }), 'NotApproved')
    const done = await bridge.send({ to: relay, fn: 'execute', args: [1n, calls] }, bridge.other)
    t.equal(await bridge.refusal({ to: relay, fn: 'execute', args: [1n, calls] }), 'NotApproved')
    t.equal(await bridge.read(systemConfig, 'gasLimit'), GAS_LIMIT)
    const logs = done.logs.filter(({ address }) => address.toLowerCase() === systemConfig)
    const { system: derived } = applyConfigLogs(
      values,
      logs.map((log) => ({ ...log, data: fromHex(log.data), topics: log.topics as Hex[] })),
    )
    t.same(derived, { ...values, gasLimit: GAS_LIMIT }, 'derivation reads it')
  },
)

t.test(
  'what nobody has carried out in time needs a new vote; what fails can be tried again',
  async (t) => {
    const system = { batchInbox: economyConfig.batchInbox, values }
    const bridge = await BridgeL1.start(t, { owner: 'governance' }, { system })
    const { governanceRelay: relay, systemConfig } = bridge.l1 as Required<typeof bridge.l1>
    const sender = OPENLEDGER.openTimelock
    // Too low a limit at first sight, since SystemConfig refuses it: nothing is done, and it stays approved.
    const bad = [{ target: systemConfig, value: 0n, data: setGasLimit(1n) }]
    const good = [{ target: systemConfig, value: 0n, data: setGasLimit(GAS_LIMIT) }]
    const messages = [bad, good].map((calls, i) => {
      const data = encodeFunctionData({
        abi: GovernanceRelay.abi as Abi,
        functionName: 'approve',
        args: [calls],
      })
      return {
        nonce: (1n << 240n) + BigInt(i),
        sender,
        target: relay,
        value: 0n,
        gasLimit: 300_000n,
        data,
      }
    })
    await bridge.mature(messages)
    for (const message of messages)
      await bridge.send({ ...bridge.finalize(message), gas: 2_000_000n })
    t.equal(await bridge.refusal({ to: relay, fn: 'execute', args: [1n, bad] }), 'InvalidGasLimit')
    t.equal((await bridge.read(relay, 'callsOf', 1n)) === `0x${'00'.repeat(32)}`, false)
    await bridge.pass(30n * 86_400n + 1n)
    t.equal(await bridge.refusal({ to: relay, fn: 'execute', args: [2n, good] }), 'Expired')
    t.equal(await bridge.read(systemConfig, 'gasLimit'), values.gasLimit)
  },
)

function setGasLimit(limit: bigint): Hex {
  return encodeFunctionData({
    abi: SystemConfig.abi as Abi,
    functionName: 'setGasLimit',
    args: [limit],
  })
}

/** The withdrawal that these events announce. */
function withdrawalOf(events: readonly { name: string; args: object }[]): Withdrawal {
  const found = events.find(({ name }) => name === 'MessagePassed')
  const args = found?.args as Withdrawal
  const { nonce, value, gasLimit, data } = args
  const [sender, target] = [args.sender, args.target].map((of) => of.toLowerCase() as Hex)
  return { nonce, sender: sender as Hex, target: target as Hex, value, gasLimit, data }
}

/** The L2's own newest output settled on L1, the withdrawal proven against it, its time passed, paid. */
async function finalize(bridge: BridgeL1, world: Economy, withdrawal: Withdrawal): Promise<void> {
  const { header, hash } = world.chain.blockByNumber(world.chain.headRef('unsafe').number) as {
    header: { stateRoot: Hex; withdrawalsRoot: Hex; number: bigint }
    hash: Hex
  }
  const slot = keccak256(`${withdrawalHash(withdrawal)}${'00'.repeat(32)}`)
  const { storageProof } = world.chain.stateAt('unsafe').proof(OP.l2ToL1MessagePasser, [slot])
  const rootProof = {
    version: `0x${'00'.repeat(32)}` as Hex,
    stateRoot: header.stateRoot,
    messagePasserStorageRoot: header.withdrawalsRoot,
    latestBlockhash: hash,
  }
  const parts = Object.values(rootProof).map((part) => part.slice(2))
  const output: Output = {
    l2BlockNumber: header.number,
    root: keccak256(`0x${parts.join('')}`),
    rootProof,
    proof: () => storageProof[0]?.proof as Hex[],
  }
  const game = await bridge.settle(output)
  await bridge.send(bridge.prove(withdrawal, game))
  await bridge.pass(31n)
  await bridge.send({ ...bridge.finalize(withdrawal), gas: 2_000_000n })
}
