/** Withdrawals on a real L1 against a made-up L2: what is paid, once, and everything that is not. */
import fc from 'fast-check'
import t from 'tap'
import { encodeFunctionData, parseEventLogs } from 'viem'
import { Portal } from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { BridgeL1, type Game, type Withdrawal, withdrawalHash } from '../support/bridge.ts'
import { compileForTest } from '../support/solidity.ts'

const SENDER: Hex = `0x${'a1'.repeat(20)}`
const RECIPIENT: Hex = `0x${'b2'.repeat(20)}`
const Target = compileForTest('Target')
/** The portal's word, or the RLP library's where the path leads to an empty child. */
const NO_PROOF = /^(InvalidMerkleProof|RLPInvalidEncoding)$/

let world: BridgeL1
let target: Hex
let nonces = 1n << 240n
t.before(async () => {
  world = await BridgeL1.start(t)
  target = await deployTarget()
})

async function deployTarget(): Promise<Hex> {
  const hash = await world.anvil.rpc<Hex>('eth_sendTransaction', {
    from: world.holder.address,
    data: Target.bytecode,
    gas: '0x200000',
  })
  const receipt = await world.reader.waitForTransactionReceipt({ hash })
  return receipt.contractAddress as Hex
}

function withdrawal(fields: Partial<Withdrawal> = {}): Withdrawal {
  const base = { sender: SENDER, target: RECIPIENT, value: 10n, gasLimit: 100_000n, data: '0x' }
  return { nonce: nonces++, ...base, ...fields } as Withdrawal
}

function calling(functionName: string, args: unknown[] = []): Hex {
  return encodeFunctionData({ abi: Target.abi, functionName, args })
}

/** Finalizes and says what the log says. */
async function finalized(
  tx: Withdrawal,
  options: { gas?: bigint; submitter?: Hex } = {},
): Promise<boolean | null> {
  const { gas, submitter } = options
  const call = { ...world.finalize(tx, submitter), ...(gas ? { gas } : {}) }
  const { logs, status } = await world.send(call)
  if (status !== 'success') return null
  const [event] = parseEventLogs({ abi: Portal.abi, eventName: 'WithdrawalFinalized', logs })
  if (event?.args.withdrawalHash !== withdrawalHash(tx)) throw new Error('another withdrawal')
  return event.args.success
}

function ofTarget<T>(functionName: string): Promise<T> {
  const call = { address: target, abi: Target.abi, functionName }
  return world.reader.readContract(call) as Promise<T>
}

t.test('a withdrawal is paid out of what is locked, once', async (t) => {
  const tx = withdrawal({ value: 700n })
  await world.mature([tx])
  t.equal(await world.check(tx), 'accepted')
  const locked = await world.read<bigint>(world.l1.portal, 'balance')
  const before = await world.balanceOf(RECIPIENT)
  t.equal(await finalized(tx), true)
  t.equal((await world.balanceOf(RECIPIENT)) - before, 700n)
  t.equal(await world.read(world.l1.portal, 'balance'), locked - 700n)
  t.equal(await world.refusal(world.finalize(tx)), 'OptimismPortal_AlreadyFinalized')
  t.equal(await world.check(tx), 'OptimismPortal_AlreadyFinalized')
})

t.test('one proof serves anybody who names its submitter', async (t) => {
  const tx = withdrawal()
  await world.mature([tx])
  const { address } = world.other
  t.equal(await world.refusal(world.finalize(tx), world.other), 'OptimismPortal_Unproven')
  t.equal(await world.check(tx, address), 'OptimismPortal_Unproven')
  t.equal(await world.refusal(world.finalize(tx, world.holder.address), world.other), 'accepted')
})

t.test('no field of a proven withdrawal can be changed', async (t) => {
  const tx = withdrawal({ value: 5n, data: calling('receiveMessage'), target })
  const game = await world.mature([tx])
  const changes: Partial<Withdrawal>[] = [
    { nonce: tx.nonce + 1n },
    { sender: RECIPIENT },
    { target: RECIPIENT },
    { value: 6n },
    { gasLimit: 1n },
    { data: '0x' },
  ]
  for (const change of changes) {
    const altered = { ...tx, ...change }
    const [field] = Object.keys(change) as [string]
    t.equal(await world.refusal(world.finalize(altered)), 'OptimismPortal_Unproven', field)
    // The proof of the true one, for the altered one.
    const { args = [], ...call } = world.prove(tx, game)
    const forged = { ...call, args: [altered, ...args.slice(1)] }
    t.match(await world.refusal(forged), NO_PROOF, field)
  }
})

t.test('without its mark on L2 there is no withdrawal, whatever is offered as proof', async (t) => {
  const [tx, absent] = [withdrawal(), withdrawal()]
  const game = await world.settle(world.output([tx, withdrawal(), withdrawal()]))
  t.match(await world.refusal(world.prove(absent, game)), NO_PROOF)
  const attempt = (proof: readonly Hex[]) => {
    const { args = [], ...call } = world.prove(tx, game)
    return world.refusal({ ...call, args: [...args.slice(0, 3), proof] })
  }
  const proof = game.output.proof(tx)
  t.equal(await attempt(proof), 'accepted')
  t.not(await attempt([]), 'accepted')
  t.not(await attempt(proof.slice(0, -1)), 'accepted')
  t.not(await attempt(proof.slice(1)), 'accepted')
  t.not(await attempt([...proof, proof[0] as Hex]), 'accepted')
  t.not(await attempt(proof.toReversed()), 'accepted')
})

t.test('a proof with any byte changed proves nothing', async (t) => {
  const tx = withdrawal()
  const game = await world.settle(
    world.output([tx, ...Array.from({ length: 9 }, () => withdrawal())]),
  )
  const proof = game.output.proof(tx).map(fromHex)
  const places = proof.flatMap((node, i) => Array.from(node, (_, at) => [i, at] as const))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      fc.integer({ min: 1, max: 255 }),
      async ([i, at], flip) => {
        const forged = proof.map((node) => node.slice())
        ;(forged[i] as Uint8Array)[at] = ((forged[i] as Uint8Array)[at] as number) ^ flip
        const { args = [], ...call } = world.prove(tx, game)
        const outcome = await world.refusal({
          ...call,
          args: [...args.slice(0, 3), forged.map(toHex)],
        })
        return outcome !== 'accepted'
      },
    ),
    { numRuns: 60 },
  )
  t.pass()
})

t.test(
  'random withdrawals are provable and paid to the wei; others in the trie do not matter',
  async (t) => {
    const some = fc.record({
      value: fc.bigInt(0n, 50n),
      gasLimit: fc.bigInt(0n, 200_000n),
      data: fc.uint8Array({ maxLength: 70 }).map(toHex),
      target: fc.constantFrom(RECIPIENT, SENDER),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(some, { minLength: 1, maxLength: 12 }), async (fields) => {
        const txs = fields.map(withdrawal)
        const chosen = txs.filter((_, i) => i % 3 === 0)
        const game = await world.settle(world.output(txs))
        for (const tx of chosen) await world.send(world.prove(tx, game))
        await world.pass(31n)
        const held = async () =>
          (await world.balanceOf(RECIPIENT)) + (await world.balanceOf(SENDER))
        const before = await held()
        for (const tx of chosen) if ((await finalized(tx)) !== true) return false
        const due = chosen.reduce((sum, { value }) => sum + value, 0n)
        return (await held()) - before === due
      }),
      { numRuns: 6 },
    )
    t.pass()
  },
)

t.test('the parts of the output must be those of the claimed root', async (t) => {
  const tx = withdrawal()
  const game = await world.settle(world.output([tx]))
  const forged = world.output([tx, withdrawal()], game.output.l2BlockNumber)
  const mixed: Game = { ...game, output: forged }
  t.equal(await world.refusal(world.prove(tx, mixed)), 'InvalidProof')
  const version = { ...game.output.rootProof, version: `0x${'00'.repeat(31)}01` as Hex }
  const other = { ...game, output: { ...game.output, rootProof: version } }
  t.equal(await world.refusal(world.prove(tx, other)), 'InvalidProof')
})

t.test('an unresolved game can be proven against, but pays nothing yet', async (t) => {
  const tx = withdrawal()
  const game = await world.propose(world.output([tx]))
  await world.send(world.prove(tx, game))
  t.equal(await world.check(tx), 'OptimismPortal_ProofNotOldEnough')
  await world.pass(31n)
  t.equal(await world.check(tx), 'OptimismPortal_InvalidRootClaim')
  await world.pass(100n)
  await world.send({ to: game.proxy, fn: 'resolve' })
  t.equal(await world.check(tx), 'OptimismPortal_InvalidRootClaim', 'within the air gap')
  await world.pass(19n)
  t.equal(await world.check(tx), 'OptimismPortal_InvalidRootClaim', 'its last second')
  await world.pass(2n)
  t.equal(await world.check(tx), 'accepted')
})

t.test(
  'a game the challenger wins pays nothing; the withdrawal is proven again elsewhere',
  async (t) => {
    const tx = withdrawal()
    const lost = await world.propose(world.output([tx]))
    await world.send(world.prove(tx, lost))
    const { challengerBond: value } = world.settlement
    await world.send({ to: lost.proxy, fn: 'challenge', value }, world.other)
    await world.pass(51n)
    await world.send({ to: lost.proxy, fn: 'resolve' })
    await world.pass(100n)
    t.equal(await world.check(tx), 'OptimismPortal_InvalidRootClaim')
    t.equal(await world.refusal(world.finalize(tx)), 'OptimismPortal_InvalidRootClaim')
    t.equal(await world.refusal(world.prove(withdrawal(), lost)), 'InvalidDisputeGame')
    const good = await world.settle(world.output([tx]))
    await world.send(world.prove(tx, good))
    t.equal(await world.check(tx), 'OptimismPortal_ProofNotOldEnough', 'the proof starts anew')
    await world.pass(31n)
    t.equal(await finalized(tx), true)
  },
)

t.test('a submitter proves once for each game', async (t) => {
  const tx = withdrawal()
  const game = await world.settle(world.output([tx]))
  await world.send(world.prove(tx, game))
  t.equal(await world.refusal(world.prove(tx, game)), 'AlreadyProven')
  t.equal(await world.refusal(world.prove(tx, game), world.other), 'accepted')
  const next = await world.settle(world.output([tx]))
  t.equal(await world.refusal(world.prove(tx, next)), 'accepted')
  const hash = withdrawalHash(tx)
  t.equal(await world.read(world.l1.portal, 'numProofSubmitters', hash), 1n)
  const submitter = await world.read<Hex>(world.l1.portal, 'proofSubmitters', hash, 0n)
  t.equal(submitter, world.holder.address)
  t.equal(await world.refusal(world.prove(tx, { ...next, index: 10_000n })), 'Panic')
})

t.test('the target sees who sent it, and at least the gas it was promised', async (t) => {
  const tx = withdrawal({ target, data: calling('receiveMessage'), gasLimit: 300_000n })
  await world.mature([tx])
  const idle = '0x000000000000000000000000000000000000dEaD'
  t.equal(await world.read(world.l1.portal, 'l2Sender'), idle)
  // The least gas with which it goes through at all, to within a percent.
  let [low, high] = [300_000n, 1_000_000n]
  while (high - low > 3_000n) {
    const gas = (low + high) / 2n
    if ((await world.refusal({ ...world.finalize(tx), gas })) === 'accepted') high = gas
    else low = gas
  }
  t.equal(await world.refusal({ ...world.finalize(tx), gas: low }), 'InsufficientGas')
  t.equal(await finalized(tx, { gas: high }), true)
  t.equal((await ofTarget<string>('sender')).toLowerCase(), SENDER)
  t.ok((await ofTarget<bigint>('gasSeen')) > 300_000n - 60_000n, 'what receiveMessage used is gone')
  t.equal(await world.read(world.l1.portal, 'l2Sender'), idle)
})

t.test('a failing call keeps the payment and is over', async (t) => {
  const failing = ['fail', 'burnAllGas', 'returnBomb'] as const
  const txs = failing.map((name) =>
    withdrawal({ target, value: 3n, data: calling(name), gasLimit: 50_000n }),
  )
  await world.mature(txs)
  for (const [i, tx] of txs.entries()) {
    const name = failing[i] as string
    const before = await world.balanceOf(target)
    // A return of a megabyte is no failure, only dear to its maker.
    const success = name === 'returnBomb'
    const gas = name === 'burnAllGas' ? 8_000_000n : 5_000_000n
    t.equal(await finalized(tx, { gas }), success, name)
    t.equal((await world.balanceOf(target)) - before, 3n)
    t.equal(await world.check(tx), 'OptimismPortal_AlreadyFinalized')
  }
})

t.test('a target cannot finalize another withdrawal from within', async (t) => {
  const inner = withdrawal({ value: 9n })
  const args = [inner, world.holder.address]
  const outer = withdrawal({ target, data: calling('reenter', args), gasLimit: 1_000_000n })
  await world.mature([inner, outer])
  t.equal(await finalized(outer, { gas: 3_000_000n }), true)
  t.equal(await ofTarget('reentered'), false)
  t.equal(await world.check(inner), 'accepted', 'it can still be paid on its own')
})

t.test('neither the token nor the portal can be a target', async (t) => {
  const { token, portal } = world.l1
  const steal = encodeFunctionData({
    abi: [
      { type: 'function', name: 'transfer', inputs: [{ type: 'address' }, { type: 'uint256' }] },
    ],
    functionName: 'transfer',
    args: [SENDER, 1n],
  } as never)
  for (const bad of [token, portal]) {
    const tx = withdrawal({ target: bad, value: 0n, data: steal })
    const game = await world.settle(world.output([tx]))
    t.equal(await world.refusal(world.prove(tx, game)), 'BadTarget')
    t.equal(await world.refusal(world.finalize(tx)), 'BadTarget')
  }
})

t.test('more than is locked cannot be paid, even on a settled root', async (t) => {
  const tx = withdrawal({ value: BridgeL1.LOCKED + 1n })
  await world.send({ to: world.l1.token, fn: 'transfer', args: [world.l1.portal, 10n] })
  await world.mature([tx])
  t.equal(
    await world.refusal(world.finalize(tx)),
    'Panic',
    'not even out of tokens sent by mistake',
  )
})

t.test("a wallet's gas estimation fails where the call would", async (t) => {
  const tx = withdrawal({ target, data: calling('fail') })
  await world.mature([tx])
  const estimator: Hex = `0x${'00'.repeat(19)}01`
  const call = world.finalize(tx, world.holder.address)
  t.equal(
    await world.refusal(call, { address: estimator, type: 'json-rpc' } as never),
    'GasEstimation',
  )
  t.equal(await finalized(tx), false)
})

t.test('nobody can pause', async (t) => {
  const { portal } = world.l1
  t.equal(await world.read(portal, 'paused'), false)
  t.equal(BigInt(await world.read<Hex>(portal, 'guardian')), 0n)
  t.match(await world.read(portal, 'version'), /^3\./)
  const names = Portal.abi.filter((item) => item.type === 'function').map((item) => item.name)
  t.notOk(names.some((name) => /pause$|blacklistDispute|owner|upgrade/i.test(name)))
})
