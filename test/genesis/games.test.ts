/** Output games on a real L1: who wins, who is paid, to the wei; the quorum; the anchor; other game types. */
import t from 'tap'
import { encodeAbiParameters, parseEther } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { localSigner } from '../../node/keys/signer.ts'
import { signOutput } from '../../prover/settlement/attestation.ts'
import { BridgeL1, type Game, type Withdrawal } from '../support/bridge.ts'
import { walletOf } from '../support/chain.ts'
import { VALIDATORS } from '../support/settlement.ts'

const STATUS = { inProgress: 0, challengerWins: 1, defenderWins: 2 }
/** Somebody with ether and no part in the rest. */
const third = privateKeyToAccount(`0x${'33'.repeat(32)}`)

let world: BridgeL1
t.before(async () => {
  world = await BridgeL1.start(t)
  for (const { key } of VALIDATORS) {
    const { address } = privateKeyToAccount(toHex(key))
    await world.anvil.rpc('anvil_setBalance', address, '0x8ac7230489e80000')
  }
  await world.anvil.rpc('anvil_setBalance', third.address, '0x8ac7230489e80000')
})

const fresh = () => world.output([])
const ether = (address: Hex) => world.reader.getBalance({ address })
const challenge = (game: Game, value = world.settlement.challengerBond) => ({
  to: game.proxy,
  fn: 'challenge',
  value,
})
const resolve = (game: Game) => ({ to: game.proxy, fn: 'resolve' })
const proving = async (game: Game, signers = VALIDATORS) => ({
  to: game.proxy,
  fn: 'prove',
  args: [await world.attest(game.output, signers)],
})
const credit = (game: Game, account: Hex) => world.read<bigint>(game.proxy, 'credit', account)
const statusOf = (game: Game) => world.read<number>(game.proxy, 'status')

/** What the game pays out to each, claimed by a third account, so that gas does not blur it. */
async function paid(game: Game, accounts: readonly Hex[]): Promise<bigint[]> {
  const out: bigint[] = []
  for (const account of accounts) {
    const before = await ether(account)
    if ((await credit(game, account)) > 0n) {
      await world.send({ to: game.proxy, fn: 'claimCredit', args: [account] }, third)
    }
    out.push((await ether(account)) - before)
  }
  return out
}

t.test('unchallenged, the proposer wins and has its bond back', async (t) => {
  const game = await world.propose(fresh())
  const { proposerBond } = world.settlement
  t.equal(await ether(game.proxy), proposerBond)
  t.equal(await world.refusal(resolve(game)), 'GameNotOver')
  await world.pass(99n)
  t.equal(await world.refusal(resolve(game)), 'GameNotOver', 'its last second')
  await world.pass(2n)
  t.equal(await world.refusal(challenge(game), world.other), 'GameOver')
  await world.send(resolve(game), third)
  t.equal(await statusOf(game), STATUS.defenderWins)
  t.same(await paid(game, [world.holder.address]), [proposerBond])
  t.equal(await ether(game.proxy), 0n)
  t.equal(await world.refusal(resolve(game)), 'GameNotOver')
  const again = { to: game.proxy, fn: 'claimCredit', args: [world.holder.address] }
  t.equal(await world.refusal(again), 'NoCredit')
})

t.test(
  'challenged and not proven, the challenger takes half the bond, and half is gone',
  async (t) => {
    const game = await world.propose(fresh())
    const { proposerBond, challengerBond } = world.settlement
    t.equal(
      await world.refusal(challenge(game, challengerBond - 1n), world.other),
      'IncorrectBondAmount',
    )
    await world.send(challenge(game), world.other)
    t.equal(await world.refusal(challenge(game), third), 'ClaimAlreadyChallenged')
    t.equal(await world.refusal(resolve(game)), 'GameNotOver')
    await world.pass(51n)
    t.equal(await world.refusal(await proving(game)), 'GameOver', 'a proof can be too late')
    await world.send(resolve(game), third)
    t.equal(await statusOf(game), STATUS.challengerWins)
    const parties = [world.holder.address, world.other.address]
    t.same(await paid(game, parties), [0n, proposerBond / 2n + challengerBond])
    t.equal(await ether(game.proxy), proposerBond / 2n, 'nobody can take it')
  },
)

t.test('who challenges a wrong claim of its own pays for it', async (t) => {
  const game = await world.propose(fresh(), world.other)
  await world.send(challenge(game), world.other)
  await world.pass(51n)
  await world.send(resolve(game), third)
  const { proposerBond, challengerBond } = world.settlement
  const staked = proposerBond + challengerBond
  t.same(await paid(game, [world.other.address]), [staked - proposerBond / 2n])
})

t.test('challenged and proven, the prover takes the challenge', async (t) => {
  const game = await world.propose(fresh())
  const { proposerBond, challengerBond } = world.settlement
  await world.send(challenge(game), world.other)
  const prover = VALIDATORS[0]
  const account = privateKeyToAccount(toHex((prover as (typeof VALIDATORS)[number]).key))
  await world.send(await proving(game), account)
  t.equal(await world.refusal(await proving(game)), 'GameOver')
  await world.send(resolve(game), third)
  t.equal(await statusOf(game), STATUS.defenderWins)
  const parties = [world.holder.address, world.other.address, account.address]
  t.same(await paid(game, parties), [proposerBond, 0n, challengerBond])
  t.equal(await ether(game.proxy), 0n)
})

t.test('proven at once, the game is over before anybody can challenge', async (t) => {
  const game = await world.propose(fresh())
  await world.send(await proving(game), third)
  t.equal(await world.refusal(challenge(game), world.other), 'ClaimAlreadyChallenged')
  await world.send(resolve(game))
  t.same(await paid(game, [world.holder.address]), [world.settlement.proposerBond])
})

t.test('a proof is the signatures of enough bonded validators over this very output', async (t) => {
  const game = await world.propose(fresh())
  await world.send(challenge(game), world.other)
  const [a, b, c] = VALIDATORS as [
    (typeof VALIDATORS)[0],
    (typeof VALIDATORS)[0],
    (typeof VALIDATORS)[0],
  ]
  const attempt = async (proof: Hex) =>
    world.refusal({ to: game.proxy, fn: 'prove', args: [proof] })
  const { output } = game
  const { l2BlockNumber, root: outputRoot } = output
  const signatures = async (keys: readonly Uint8Array[], change = {}) =>
    Promise.all(
      keys.map(async (key) => {
        const signed = { l2BlockNumber, outputRoot, ...change }
        return (await signOutput(world.domain, signed, localSigner(key))).signature
      }),
    )
  const raw = (list: readonly Hex[]) => encodeAbiParameters([{ type: 'bytes[]' }], [list])

  t.equal(await attempt(await world.attest(output, [a, c])), 'accepted')
  t.equal(await attempt(await world.attest(output, [b])), 'InvalidProof', 'too few')
  t.equal(await attempt(await world.attest(output, [b, walletOf(9)])), 'InvalidProof', 'a stranger')
  const [first] = await signatures([b.key])
  t.equal(await attempt(raw([first as Hex, first as Hex])), 'InvalidProof', 'one twice')
  const other = await signatures([a.key, b.key, c.key], { outputRoot: ZERO_HASH })
  t.equal(await attempt(raw(other)), 'InvalidProof', 'another root')
  const earlier = await signatures([a.key, b.key, c.key], { l2BlockNumber: l2BlockNumber - 1n })
  t.equal(await attempt(raw(earlier)), 'InvalidProof', 'another block')
  const sorted = await signatures(
    [a, b, c].sort((x, y) => (x.address < y.address ? -1 : 1)).map(({ key }) => key),
  )
  t.equal(await attempt(raw(sorted)), 'accepted')
  t.equal(await attempt(raw(sorted.toReversed())), 'InvalidProof', 'out of order')
  t.equal(await attempt(raw(['0x', '0x1234'])), 'InvalidProof', 'no signatures')
  t.not(await attempt('0x'), 'accepted')
  await world.send(await proving(game))
})

t.test(
  'who signs two outputs of one block loses the bond, half of it to who shows them',
  async (t) => {
    const { attestationVerifier: to, token } = world.l1
    const [, , c] = VALIDATORS as [unknown, unknown, (typeof VALIDATORS)[0]]
    const [rootA, rootB] = [ZERO_HASH, toHex(new Uint8Array(32).fill(7))] as [Hex, Hex]
    const sign = async (l2BlockNumber: bigint, outputRoot: Hex) =>
      (await signOutput(world.domain, { l2BlockNumber, outputRoot }, localSigner(c.key))).signature
    const [a, b] = [await sign(77n, rootA), await sign(77n, rootB)]
    const slash = (...args: unknown[]) => ({ to, fn: 'slash', args })
    t.equal(await world.refusal(slash(77n, rootA, a, rootA, a)), 'NoEquivocation')
    t.equal(
      await world.refusal(slash(77n, rootA, a, rootB, await sign(78n, rootB))),
      'NoEquivocation',
    )
    const before = await world.balanceOf(third.address)
    const { validatorBond } = world.settlement
    await world.send(slash(77n, rootA, a, rootB, b), third)
    t.equal((await world.balanceOf(third.address)) - before, validatorBond / 2n)
    t.equal(await world.read(token, 'balanceOf', to), 3n * validatorBond - validatorBond / 2n)
    t.equal(await world.refusal(slash(77n, rootA, a, rootB, b)), 'WrongStanding', 'once')
    const game = await world.propose(fresh())
    const proof = await world.attest(game.output, VALIDATORS.slice(1))
    const call = { to: game.proxy, fn: 'prove', args: [proof] }
    t.equal(await world.refusal(call), 'InvalidProof', 'its signature counts no more')
    t.equal(await world.refusal({ to, fn: 'bond', args: [c.address] }), 'WrongStanding')
  },
)

t.test('a validator that leaves stops counting at once and is paid after the delay', async (t) => {
  const { attestationVerifier: to } = world.l1
  const [, b] = VALIDATORS as [unknown, (typeof VALIDATORS)[0]]
  const account = privateKeyToAccount(toHex(b.key))
  await world.send({ to, fn: 'requestExit' }, account)
  const game = await world.propose(fresh())
  t.equal(await world.refusal(await proving(game)), 'InvalidProof', 'one of three is left')
  t.equal(await world.refusal({ to, fn: 'exit' }, account), 'TooEarly')
  await world.pass(501n)
  await world.send({ to, fn: 'exit' }, account)
  t.equal(await world.balanceOf(account.address), world.settlement.validatorBond)
  const bond = world.settlement.validatorBond
  await world.send({ to: world.l1.token, fn: 'approve', args: [to, bond] }, account)
  await world.send({ to, fn: 'bond', args: [account.address] }, account)
  const next = await world.propose(fresh())
  t.equal(await world.refusal(await proving(next)), 'accepted')
})

t.test('a claim is made once, with its bond, above the anchor', async (t) => {
  const output = fresh()
  const call = world.proposal(output)
  t.equal(await world.refusal({ ...call, value: (call.value ?? 0n) + 1n }), 'IncorrectBondAmount')
  t.equal(await world.refusal({ ...call, value: 0n }), 'IncorrectBondAmount')
  const [type, root, extra] = call.args as [number, Hex, Hex]
  t.equal(
    await world.refusal({ ...call, args: [type + 1, root, extra], value: 0n }),
    'NoImplementation',
  )
  t.equal(await world.refusal({ ...call, args: [type, root, `${extra}00`] }), 'BadExtraData')
  t.equal(await world.refusal({ ...call, args: [type, root, '0x'] }), 'BadExtraData')
  await world.send(call, world.other)
  t.equal(
    await world.refusal(call),
    'GameAlreadyExists',
    'somebody was faster: the output is there',
  )
  const zero = world.proposal({ ...output, l2BlockNumber: 0n })
  t.equal(await world.refusal(zero), 'UnexpectedL2Block')
})

t.test('the original of the games is no game', async (t) => {
  const to = world.l1.outputGame
  t.equal(await world.refusal({ to, fn: 'initialize' }), 'AlreadyInitialized')
  const game = await world.propose(fresh())
  t.equal(await world.refusal({ to: game.proxy, fn: 'initialize' }), 'AlreadyInitialized')
})

t.test('games are listed newest first, as viem asks for them', async (t) => {
  const { disputeGameFactory: factory } = world.l1
  const { gameType } = world.settlement
  const count = await world.read<bigint>(factory, 'gameCount')
  const find = (type: number, start: bigint, n: bigint) =>
    world.read<{ index: bigint; metadata: Hex; rootClaim: Hex }[]>(
      factory,
      'findLatestGames',
      type,
      start,
      n,
    )
  const all = await find(gameType, count - 1n, 100n)
  t.equal(BigInt(all.length), count)
  t.same(
    all.map(({ index }) => index),
    all.map((_, i) => count - 1n - BigInt(i)),
  )
  t.equal((await find(gameType, count - 1n, 2n)).length, 2)
  t.same(await find(gameType, count, 5n), [], 'beyond the end')
  t.same(await find(gameType, 0n, 0n), [])
  t.same(await find(gameType + 1, count - 1n, 5n), [])
  const [newest] = all
  const [type, timestamp, proxy] = await world.read<[number, bigint, Hex]>(
    factory,
    'gameAtIndex',
    count - 1n,
  )
  const metadata = (BigInt(type) << 224n) | (timestamp << 160n) | BigInt(proxy)
  t.equal(BigInt(newest?.metadata ?? 0), metadata)
})

t.test('the anchor follows settled games, forward only, and new games start there', async (t) => {
  const { anchorStateRegistry: to } = world.l1
  const older = await world.settle(fresh())
  const newer = await world.settle(fresh())
  const set = ({ proxy }: Game) => ({ to, fn: 'setAnchorState', args: [proxy] })
  t.equal(await world.refusal(set(newer)), 'InvalidAnchorGame', 'within the air gap')
  await world.pass(21n)
  await world.send(set(newer), third)
  t.same(await world.read(to, 'getAnchorRoot'), [newer.output.root, newer.output.l2BlockNumber])
  t.equal(await world.refusal(set(older)), 'InvalidAnchorGame')
  const next = await world.propose(fresh())
  t.equal(await world.read(next.proxy, 'startingBlock'), newer.output.l2BlockNumber)
  t.equal(await world.read(next.proxy, 'startingRoot'), newer.output.root)
  t.equal(await world.refusal(world.proposal(older.output)), 'GameAlreadyExists')
  const below = world.proposal({ root: ZERO_HASH, l2BlockNumber: newer.output.l2BlockNumber })
  t.equal(await world.refusal(below), 'UnexpectedL2Block')
})

t.test('a game that the factory did not make counts for nothing', async (t) => {
  const game = await world.settle(fresh())
  const code = await world.reader.getCode({ address: game.proxy })
  const fake: Hex = `0x${'fa'.repeat(20)}`
  await world.anvil.rpc('anvil_setCode', fake, code)
  const { anchorStateRegistry: registry } = world.l1
  t.equal(await world.read(registry, 'isGameProper', game.proxy), true)
  t.equal(await world.read(registry, 'isGameProper', fake), false)
  t.equal(await world.read(registry, 'isGameClaimValid', fake), false)
})

t.test('a contract that cannot take ether hurts itself only', async (t) => {
  const game = await world.propose(fresh(), world.other)
  await world.send(await proving(game))
  await world.send(resolve(game))
  await world.anvil.rpc('anvil_setCode', world.other.address, '0x5f5ffd')
  t.teardown(() => world.anvil.rpc('anvil_setCode', world.other.address, '0x'))
  const claim = { to: game.proxy, fn: 'claimCredit', args: [world.other.address] }
  t.equal(await world.refusal(claim), 'BondTransferFailed')
  t.equal(await statusOf(game), STATUS.defenderWins, 'the game is decided all the same')
})

t.test(
  'another game type counts after its notice, and takes nothing from games made before',
  async (t) => {
    const { disputeGameFactory: factory, anchorStateRegistry: registry, outputGame } = world.l1
    const { gameType } = world.settlement
    const add = (type: number) => ({ to: factory, fn: 'addGameType', args: [type, outputGame, 0n] })
    const announce = { to: registry, fn: 'announceGameType', args: [gameType + 1] }
    t.equal(await world.refusal(add(gameType + 1), world.other), 'OwnableUnauthorizedAccount')
    t.equal(await world.refusal(announce, world.other), 'OwnableUnauthorizedAccount')
    t.equal(await world.refusal(add(gameType)), 'ImplementationFixed', 'a type never changes')
    const tx: Withdrawal = {
      nonce: 1n,
      sender: ZERO_ADDRESS,
      target: third.address,
      value: 11n,
      gasLimit: 0n,
      data: '0x',
    }
    const before = await world.settle(world.output([tx]))
    await world.send(world.prove(tx, before))
    await world.send(add(gameType + 1))
    await world.send(announce)
    t.equal(await world.read(world.l1.portal, 'respectedGameType'), gameType)
    await world.pass(1_001n)
    t.equal(await world.read(world.l1.portal, 'respectedGameType'), gameType + 1)
    t.equal(await world.read(registry, 'isGameRespected', before.proxy), true)
    t.equal(await world.check(tx), 'accepted', 'an owner cannot stop what is under way')
    const late = await world.settle(world.output([tx]))
    t.equal(await world.refusal(world.prove(tx, late)), 'InvalidGameType')
    t.equal(await world.read(registry, 'isGameClaimValid', late.proxy), false)
    await world.send({ to: registry, fn: 'renounceOwnership' })
    t.equal(await world.refusal(announce), 'OwnableUnauthorizedAccount', 'fixed for good')
  },
)

t.test('no ether is made or lost over all these games', async (t) => {
  const count = await world.read<bigint>(world.l1.disputeGameFactory, 'gameCount')
  for (let index = 0n; index < count; index++) {
    const [, , proxy] = await world.read<[number, bigint, Hex]>(
      world.l1.disputeGameFactory,
      'gameAtIndex',
      index,
    )
    const creator = await world.read<Hex>(proxy, 'gameCreator')
    const owed = await Promise.all(
      [...new Set([creator, world.other.address, third.address])].map((who) =>
        world.read<bigint>(proxy, 'credit', who),
      ),
    )
    const due = owed.reduce((a, b) => a + b, 0n)
    const isResolved = (await world.read<bigint>(proxy, 'resolvedAt')) > 0n
    const held = await ether(proxy)
    const isLost = (await world.read<number>(proxy, 'status')) === STATUS.challengerWins
    const burned = isLost ? world.settlement.proposerBond / 2n : 0n
    if (isResolved) t.equal(held, due + burned, `game ${index}`)
    else t.ok(held >= world.settlement.proposerBond && held < parseEther('1'), `game ${index}`)
  }
  t.equal(await ether(world.l1.disputeGameFactory), 0n)
})
