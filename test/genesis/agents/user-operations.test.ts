/** AgentAccount as an ERC-4337 account and as what an EOA delegates to: the same limits, whoever pays for gas. */
import { createRequire } from 'node:module'
import t from 'tap'
import { type Abi, encodeFunctionData, numberToHex } from 'viem'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { AgentAccount, InferenceEscrow } from '../../../genesis/contracts.generated.ts'
import { signHash } from '../../../node/attribution/receipt.ts'
import { type Hex, ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import { accountAt, createAccount } from '../../support/agents.ts'
import { alice, bob, ETHER, type Wallet } from '../../support/chain.ts'
import { type Contract, carol, Economy, operator } from '../../support/economy.ts'
import { escrow } from '../../support/model.ts'

const { abi } = createRequire(import.meta.url)(
  '@account-abstraction/contracts-v08/artifacts/EntryPoint.json',
)
const entryPoint: Contract = { address: '0x4337084d9e255ff0702461cf8895ce9e3b5ff108', abi }
const FOREVER = 1n << 40n
const deposit = encodeFunctionData({
  abi: InferenceEscrow.abi,
  functionName: 'depositFor',
  args: [bob.address],
})
const two = (high: bigint, low: bigint): Hex => numberToHex((high << 128n) | low, { size: 32 })

let world: Economy
let account: Contract
t.before(async () => {
  const code: Hex = `0xef0100${OPENLEDGER.agentAccount.slice(2)}`
  world = await Economy.open(t.testdir(), {
    alloc: { [carol.address]: { balance: 10n * ETHER, code } },
  })
  account = await createAccount(world, alice)
  await world.pay(alice, account.address, ETHER)
  for (const owned of [account, accountAt(carol.address)]) await limit(owned)
})
t.teardown(() => world.close())

/** Bob may prepay for inference: a hundredth of an OPEN at once, two in a period. */
async function limit(owned: Contract): Promise<void> {
  const owner = owned.address === carol.address ? carol : alice
  const part = ETHER / 100n
  const { inferenceEscrow } = OPENLEDGER
  await world.send(owner, owned, 'setKey', [bob.address, FOREVER, 60n])
  await world.send(owner, owned, 'allow', [
    bob.address,
    inferenceEscrow,
    deposit.slice(0, 10),
    true,
  ])
  await world.send(owner, owned, 'setCap', [
    bob.address,
    ZERO_ADDRESS,
    part,
    2n * part,
    FOREVER,
    part,
  ])
}

/** One operation of `owned`, signed by `who`. */
async function operation(owned: Contract, who: Wallet, name: string, args: readonly unknown[]) {
  const op = {
    sender: owned.address,
    nonce: await world.read<bigint>(entryPoint, 'getNonce', [owned.address, 0n]),
    initCode: '0x' as Hex,
    callData: encodeFunctionData({ abi: AgentAccount.abi as Abi, functionName: name, args }),
    accountGasLimits: two(300_000n, 300_000n),
    preVerificationGas: 50_000n,
    gasFees: two(1_000_000n, 2_000_000_000n),
    paymasterAndData: '0x' as Hex,
    signature: '0x' as Hex,
  }
  const hash = await world.read<Hex>(entryPoint, 'getUserOpHash', [op])
  return { ...op, signature: signHash(hash, who.key) }
}
const call = (value: bigint): unknown[] => [OPENLEDGER.inferenceEscrow, value, deposit]
const prepaid = (): Promise<bigint> => world.read(escrow, 'balanceOf', [bob.address])
const refused = async (op: object): Promise<string> =>
  world.refusal(operator, entryPoint, 'handleOps', [[op], operator.address]).catch(String)

t.test('a key acts by user operations within its caps, but not on the account’s gas', async (t) => {
  const small = ETHER / 200n
  const unpaid = await operation(account, bob, 'executeFor', [bob.address, ...call(small)])
  t.not(await refused(unpaid), 'accepted', 'gas is no hole in the caps')
  await world.send(alice, entryPoint, 'depositTo', [account.address], { value: ETHER / 10n })
  const before = await prepaid()
  const op = await operation(account, bob, 'executeFor', [bob.address, ...call(small)])
  await world.send(operator, entryPoint, 'handleOps', [[op], operator.address])
  t.equal(await prepaid(), before + small)
  t.not(await refused(op), 'accepted', 'once')
  const large = await operation(account, bob, 'executeFor', [bob.address, ...call(ETHER / 2n)])
  await world.send(operator, entryPoint, 'handleOps', [[large], operator.address])
  t.equal(await prepaid(), before + small, 'above the cap the call of the operation reverts')
})

t.test('an operation that nobody may sign is refused', async (t) => {
  for (const op of [
    await operation(account, carol, 'executeFor', [carol.address, ...call(1n)]),
    await operation(account, carol, 'executeFor', [bob.address, ...call(1n)]),
    await operation(account, bob, 'executeAsOwner', call(1n)),
  ]) {
    t.not(await refused(op), 'accepted')
  }
  const before = await prepaid()
  const op = await operation(account, alice, 'executeAsOwner', call(7n))
  await world.send(operator, entryPoint, 'handleOps', [[op], operator.address])
  t.equal(await prepaid(), before + 7n, 'the owner may do anything')
})

t.test(
  'an EOA that delegates to it (EIP-7702) is its own owner, and its keys are session keys',
  async (t) => {
    const own = accountAt(carol.address)
    t.equal((await world.read<Hex>(own, 'owner')).toLowerCase(), carol.address)
    const before = await prepaid()
    await world.send(bob, own, 'execute', call(ETHER / 100n))
    t.equal(await prepaid(), before + ETHER / 100n)
    t.match(await world.refusal(bob, own, 'execute', call(ETHER)), /^AboveActionCap/)
    t.match(await world.refusal(bob, own, 'setKey', [bob.address, FOREVER, 0n]), /^NotOwner/)
    await world.send(carol, own, 'stop')
    t.equal(await world.refusal(bob, own, 'execute', call(1n)), 'IsStopped()')
  },
)
