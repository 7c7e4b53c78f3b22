/** Proposer and challenger against real contracts on a real L1; the L2 they stand for is made up. */
import { join } from 'node:path'
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { NodeError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import { L1Client } from '../../../node/l1/client.ts'
import { FEE_LIMITS_DEFAULT } from '../../../node/l1/fees.ts'
import { L1Sender } from '../../../node/l1/sender.ts'
import { Store } from '../../../node/store/store.ts'
import { signOutput } from '../../../prover/settlement/attestation.ts'
import { SettlementContracts } from '../../../prover/settlement/contracts.ts'
import { Games } from '../../../prover/settlement/games.ts'
import { L1Calls } from '../../../prover/settlement/l1-calls.ts'
import { SERVICE_DEFAULTS, SettlementService } from '../../../prover/settlement/service.ts'
import { BridgeL1, type Output } from '../../support/bridge.ts'
import { testConfig, type Wallet, walletOf } from '../../support/chain.ts'
import { VALIDATORS } from '../../support/settlement.ts'

const INTERVAL = 10n
const [proposer, challenger] = [walletOf(0x61), walletOf(0x62)]

let world: BridgeL1
let snapshot: Hex
/** The L2 as this node derived it: an output for each block up to the head. */
const outputs = new Map<bigint, Output>()
let head = 0n
let safe = 0n
let derivedTo = 0n
/** What the node says instead of its head, when set. */
let broken: NodeError | null = null
let complaints: string[] = []

t.before(async () => {
  world = await BridgeL1.start(t)
  for (const { address } of [proposer, challenger]) {
    await world.anvil.rpc('anvil_setBalance', address, '0x8ac7230489e80000')
  }
})
t.beforeEach(async () => {
  snapshot = await world.anvil.rpc<Hex>('evm_snapshot')
  await world.anvil.mine()
  ;[head, safe, derivedTo] = [0n, 0n, 0n]
  outputs.clear()
  ;[broken, complaints] = [null, []]
})
t.afterEach(async () => {
  await world.anvil.rpc('evm_setAutomine', true)
  await world.anvil.rpc('evm_revert', snapshot)
})

function headOrFault(): bigint {
  if (broken) throw broken
  return head
}

function grow(to: bigint): void {
  for (let number = head + 1n; number <= to; number++) outputs.set(number, made(number))
  head = safe = to
}

const made = (number: bigint): Output => world.output([], number)

type Roles = { readonly proposer?: Wallet; readonly challenger?: Wallet }
type Running = { readonly service: SettlementService; stop(): Promise<void> }

/** A settlement service on the database at `path`: opening it again is a restart. */
async function open(
  path: string,
  roles: Roles,
  signers: readonly Wallet[] = VALIDATORS,
): Promise<Running> {
  const store = await Store.open(path)
  const client = new L1Client([world.anvil.url])
  const { token, portal, genesisL1: _, vesting: __, l1ChainId, ...rest } = world.l1
  const config = {
    ...testConfig,
    l1ChainId,
    portal,
    l2ChainId: world.settlement.l2ChainId,
    l1Contracts: { token, ...rest },
  }
  const contracts = new SettlementContracts(config, client)
  const callsOf = ({ key }: Wallet): L1Calls => {
    const signer = localSigner(key)
    return new L1Calls({
      signer,
      chainId: l1ChainId,
      sender: new L1Sender({ client, signer, chainId: l1ChainId }),
      estimateGas: (call, from) => contracts.estimateGas(call, from),
      table: store.table('l1-calls'),
      fees: FEE_LIMITS_DEFAULT,
      log: silentLog,
    })
  }
  const at = (l2BlockNumber: bigint) => {
    const output = l2BlockNumber <= head ? outputs.get(l2BlockNumber) : undefined
    return output ? { l2BlockNumber, outputRoot: output.root } : null
  }
  const service = new SettlementService(
    { ...SERVICE_DEFAULTS, intervalBlocks: INTERVAL },
    {
      contracts,
      games: new Games(contracts, { seen: store.table('seen'), open: store.table('open') }),
      outputs: { head: headOrFault, at } as never,
      collect: async (output) =>
        signers.length < 2
          ? null
          : Promise.all(
              signers.map(({ key }) => signOutput(contracts.domain, output, localSigner(key))),
            ),
      proposer: roles.proposer ? callsOf(roles.proposer) : null,
      challenger: roles.challenger ? callsOf(roles.challenger) : null,
      derived: () => ({ l1Timestamp: derivedTo, safe }),
      log: { ...silentLog, error: (event) => complaints.push(event) },
    },
  )
  return {
    service,
    stop: async () => {
      client.close()
      await store.close()
    },
  }
}

const gameCount = () => world.read<bigint>(world.l1.disputeGameFactory, 'gameCount')
const anchor = async () =>
  (await world.read<[Hex, bigint]>(world.l1.anchorStateRegistry, 'getAnchorRoot'))[1]
const ether = ({ address }: Wallet) => world.reader.getBalance({ address })
const proxyAt = async (index: bigint) =>
  (await world.read<[number, bigint, Hex]>(world.l1.disputeGameFactory, 'gameAtIndex', index))[2]
const l1Now = async () => (await world.reader.getBlock()).timestamp

async function ticks({ service }: Running, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await service.tick()
}

t.test(
  'outputs are proposed at the interval, settled, anchored, and the bond comes back',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { proposer })
    t.teardown(node.stop)
    grow(9n)
    await ticks(node)
    t.equal(await gameCount(), 0n, 'not yet')
    grow(14n)
    await ticks(node)
    t.equal(await gameCount(), 1n)
    const proxy = await proxyAt(0n)
    t.equal(await world.read(proxy, 'l2SequenceNumber'), 10n)
    t.equal(await world.read(proxy, 'rootClaim'), outputs.get(10n)?.root)
    const before = await ether(proposer)
    await world.pass(101n)
    await ticks(node)
    t.equal(await world.read(proxy, 'status'), 2)
    t.ok((await ether(proposer)) > before, 'the bond is more than the gas')
    await world.pass(21n)
    await ticks(node)
    t.equal(await anchor(), 10n)
    t.match(node.service.status, { openGames: 0, anchorBlock: 10n, alarms: [] })
  },
)

t.test('nothing is proposed that no quorum has signed', async (t) => {
  const node = await open(join(t.testdir(), 'db'), { proposer }, [])
  t.teardown(node.stop)
  grow(20n)
  await ticks(node)
  t.equal(await gameCount(), 0n)
})

t.test(
  'a fatal fault ends settlement alone: said once, kept for the readiness check',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { proposer })
    t.teardown(node.stop)
    broken = new NodeError('assertion', 'fatal', 'the head went backwards')
    node.service.start()
    while (!node.service.fatal) await new Promise((resolve) => setImmediate(resolve))
    await node.service.stop()
    t.equal(node.service.fatal, 'the head went backwards')
    t.same(complaints, ['settlement has stopped'])
    // What is left of the node is asked as before.
    broken = null
    await ticks(node)
  },
)

t.test('a restart sends the call that was under way, not another', async (t) => {
  const path = join(t.testdir(), 'db')
  await world.anvil.rpc('evm_setAutomine', false)
  const first = await open(path, { proposer })
  grow(12n)
  await first.service.tick()
  await first.stop()
  // What was sent is lost on the way.
  await world.anvil.rpc('anvil_dropAllTransactions')
  const second = await open(path, { proposer })
  await second.service.tick()
  await second.stop()
  await world.anvil.mine()
  t.equal(await gameCount(), 1n)
  const third = await open(path, { proposer })
  t.teardown(third.stop)
  await ticks(third)
  await world.anvil.mine()
  t.equal(await gameCount(), 1n)
  const { address } = proposer
  t.equal(await world.reader.getTransactionCount({ address }), 1)
})

t.test('a call that is not included goes out again, dearer, under the same nonce', async (t) => {
  await world.anvil.rpc('evm_setAutomine', false)
  const node = await open(join(t.testdir(), 'db'), { proposer })
  t.teardown(node.stop)
  grow(12n)
  await node.service.tick()
  for (let i = 0; i < 4; i++) {
    await world.anvil.rpc('anvil_dropAllTransactions')
    await world.anvil.mine()
  }
  await node.service.tick()
  await world.anvil.mine()
  await node.service.tick()
  t.equal(await gameCount(), 1n)
})

t.test(
  'somebody was faster with the same claim: it is not made again, and looked after',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { proposer })
    t.teardown(node.stop)
    grow(10n)
    const game = await world.propose(outputs.get(10n) as Output, world.other)
    await ticks(node)
    t.equal(await gameCount(), 1n)
    await world.pass(101n)
    await ticks(node)
    t.equal(await world.read(game.proxy, 'status'), 2, 'resolved though it is not ours')
  },
)

t.test('a right output that is challenged is proven, and the challenge pays for it', async (t) => {
  const node = await open(join(t.testdir(), 'db'), { proposer })
  t.teardown(node.stop)
  grow(10n)
  await ticks(node)
  const proxy = await proxyAt(0n)
  const value = world.settlement.challengerBond
  await world.send({ to: proxy, fn: 'challenge', value }, world.other)
  const before = await ether(proposer)
  await ticks(node, 5)
  t.equal(await world.read(proxy, 'status'), 2)
  const { proposerBond, challengerBond } = world.settlement
  const won = (await ether(proposer)) - before
  t.ok(won > proposerBond + challengerBond - 10n ** 16n, 'both bonds, less the gas')
})

t.test('a wrong output is challenged and overturned, and that pays', async (t) => {
  const node = await open(join(t.testdir(), 'db'), { challenger })
  t.teardown(node.stop)
  grow(10n)
  const wrong = { ...made(10n), root: `0x${'66'.repeat(32)}` as Hex }
  const game = await world.propose(wrong, world.other)
  const right = await world.propose(outputs.get(9n) as Output, world.other)
  await ticks(node)
  t.equal(await world.read(game.proxy, 'proposalStatus'), 1, 'challenged')
  t.equal(await world.read(right.proxy, 'proposalStatus'), 0, 'left alone')
  const before = await ether(challenger)
  await world.pass(51n)
  await ticks(node)
  t.equal(await world.read(game.proxy, 'status'), 1)
  const { proposerBond, challengerBond } = world.settlement
  t.ok((await ether(challenger)) - before > proposerBond / 2n + challengerBond - 10n ** 16n)
  t.match(node.service.status.alarms, [/a wrong output has been proposed: game 0, block 10/])
})

t.test(
  'an output of a block that L1 does not give is wrong once L1 has been read that far',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { challenger })
    t.teardown(node.stop)
    grow(10n)
    const game = await world.propose(made(5_000n), world.other)
    await ticks(node)
    t.equal(await world.read(game.proxy, 'proposalStatus'), 0, 'not known yet')
    derivedTo = (await l1Now()) + 1n
    await ticks(node)
    t.equal(await world.read(game.proxy, 'proposalStatus'), 1)
  },
)

t.test('one account may do both parts', async (t) => {
  const node = await open(join(t.testdir(), 'db'), { proposer, challenger })
  t.teardown(node.stop)
  grow(10n)
  await world.propose({ ...made(8n), root: `0x${'77'.repeat(32)}` as Hex }, world.other)
  await ticks(node)
  t.equal(await gameCount(), 2n)
  t.equal(await world.read(await proxyAt(0n), 'proposalStatus'), 1)
  t.equal(await world.read(await proxyAt(1n), 'rootClaim'), outputs.get(10n)?.root)
})

t.test(
  'a wrong output that a quorum proves raises the alarm; nothing more can be done',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { challenger })
    t.teardown(node.stop)
    grow(10n)
    const wrong = { ...made(10n), root: `0x${'88'.repeat(32)}` as Hex }
    const game = await world.propose(wrong, world.other)
    await ticks(node, 1)
    await world.send(
      { to: game.proxy, fn: 'prove', args: [await world.attest(wrong)] },
      world.other,
    )
    await world.send({ to: game.proxy, fn: 'resolve' }, world.other)
    await ticks(node)
    t.match(node.service.status.alarms.at(-1), /a wrong output has been settled on L1/)
  },
)

t.test(
  'games that an L1 reorganisation takes away are forgotten, and the output proposed again',
  async (t) => {
    const node = await open(join(t.testdir(), 'db'), { proposer })
    t.teardown(node.stop)
    grow(10n)
    const fork = await world.anvil.rpc<Hex>('evm_snapshot')
    await ticks(node)
    t.equal(await gameCount(), 1n)
    await world.anvil.rpc('evm_revert', fork)
    t.equal(await gameCount(), 0n)
    await world.anvil.mine()
    await ticks(node)
    t.equal(await gameCount(), 1n)
    t.equal(node.service.status.openGames, 1)
  },
)
