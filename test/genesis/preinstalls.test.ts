/** The contracts tools expect everywhere: that they are the true ones, and that they do their work here. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import {
  type Abi,
  concatHex,
  encodeAbiParameters,
  encodeFunctionData,
  getContractAddress,
  keccak256,
  maxUint160,
  pad,
  parseAbi,
  parseTransaction,
  recoverTransactionAddress,
  toHex as viemHex,
  zeroAddress,
  zeroHash,
} from 'viem'
import {
  entryPoint06Abi,
  entryPoint07Abi,
  entryPoint08Abi,
  toPackedUserOperation,
} from 'viem/account-abstraction'
import { privateKeyToAccount } from 'viem/accounts'
import { OP, STANDARD } from '../../genesis/addresses.ts'
import { PayableWOPEN } from '../../genesis/contracts.generated.ts'
import { PREINSTALLS, SENDER_CREATORS } from '../../genesis/preinstalls.ts'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { creationCodeOf, rawTransactionIn } from '../../node/preinstalls.ts'
import { alice, bob, CHAIN_ID, ETHER } from '../support/chain.ts'
import { type Contract, carol, Economy } from '../support/economy.ts'
import { PERMIT_TRANSFER_FROM } from '../support/signed-payment.ts'

const SOMEBODY: Hex = `0x${'5b'.repeat(20)}`
const owner = privateKeyToAccount(toHex(alice.key))
const at = (name: string): Hex => PREINSTALLS.find((p) => p.name === name)?.address ?? zeroAddress

function artefact(file: string): { abi: Abi; bytecode: Hex; deployedBytecode: Hex } {
  return JSON.parse(readFileSync(createRequire(import.meta.url).resolve(file), 'utf8'))
}

const accounts = { entryPointV06: 'v06', entryPointV07: 'v07', entryPointV08: 'v08' } as const
type EntryPointName = keyof typeof accounts
/** A SimpleAccountFactory for each EntryPoint, deployed in block 0 beside the rest. */
function accountFactory(name: EntryPointName): Contract & { creationCode: Hex } {
  const file = `@account-abstraction/contracts-${accounts[name]}/artifacts/SimpleAccountFactory.json`
  const { abi, bytecode } = artefact(file)
  const creationCode = concatHex([bytecode, pad(at(name))])
  const from = STANDARD.create2Deployer
  const address = getContractAddress({
    opcode: 'CREATE2',
    from,
    salt: zeroHash,
    bytecode: creationCode,
  })
  return { address: address.toLowerCase() as Hex, abi, creationCode }
}

let world: Economy
t.before(async () => {
  const factories = (Object.keys(accounts) as EntryPointName[]).map((name) => {
    const { address, creationCode } = accountFactory(name)
    return [
      address,
      { deployment: { factory: STANDARD.create2Deployer, salt: zeroHash, creationCode } },
    ]
  })
  world = await Economy.open(t.testdir(), { alloc: Object.fromEntries(factories) })
})
t.teardown(() => world.close())

const code = (address: Hex): Hex => toHex(world.chain.stateAt(0n).code(address))

t.test('the creation code of each is the one its address was made from', async (t) => {
  for (const preinstall of PREINSTALLS) {
    const { name, address, deployment, source } = preinstall
    const bytecode = creationCodeOf(preinstall)
    t.ok(code(address).length > 100, name)
    if ('factory' in deployment) {
      const { factory: from, salt } = deployment
      const made = getContractAddress({ opcode: 'CREATE2', from, salt, bytecode })
      t.equal(made.toLowerCase(), address, name)
      continue
    }
    // Who signed the one transaction made the address, so nobody can have made it with another code.
    if (source.kind !== 'transaction') throw new Error(`${name} has no transaction`)
    const raw = rawTransactionIn(source) as `0x02${string}`
    const { nonce = 0, data, to } = parseTransaction(raw)
    const signer = await recoverTransactionAddress({ serializedTransaction: raw })
    t.equal(signer.toLowerCase(), deployment.creator, name)
    t.same([nonce, data, to ?? null], [0, bytecode, null], name)
    const made = getContractAddress({ from: signer, nonce: BigInt(nonce) })
    t.equal(made.toLowerCase(), address, name)
    t.equal(world.chain.stateAt(0n).account(deployment.creator)?.nonce, 1n, 'it was used once')
  }
})

t.test('what has no such address has the code hash it is known by', async (t) => {
  const known = {
    [STANDARD.create2Deployer]:
      '0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989',
    [STANDARD.safeSingletonFactory]:
      '0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989',
    [STANDARD.multicall3]: '0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891',
    [STANDARD.create2Helper]: '0xb0550b5b431e30d38000efb7107aaa0ade03d48a7198a140edda9d27134468b2',
  }
  for (const [address, hash] of Object.entries(known)) {
    t.equal(keccak256(code(address as Hex)), hash, address)
  }
})

t.test('the code that stands there is the code the packages say stands there', async (t) => {
  for (const { name, address, source } of PREINSTALLS) {
    if (source.kind !== 'artefact') continue
    const { deployedBytecode } = artefact(source.file)
    const here = fromHex(code(address))
    const there = fromHex(deployedBytecode)
    t.equal(here.length, there.length, name)
    // The compiler leaves zeros where a constructor writes an immutable.
    const differing = here.findIndex((byte, i) => byte !== there[i] && there[i] !== 0)
    t.equal(differing, -1, name)
  }
})

t.test('each EntryPoint has made its SenderCreator where everybody looks for it', async (t) => {
  for (const [name, address] of Object.entries(SENDER_CREATORS)) {
    const creator = getContractAddress({ from: at(name), nonce: 1n }).toLowerCase()
    t.equal(creator, address)
    t.ok(code(address).length > 100)
  }
})

t.test('nothing else was left behind by the deployments', async (t) => {
  t.equal(world.chain.stateAt(0n).account(zeroAddress), null)
})

t.test('OPEN wraps and unwraps one to one', async (t) => {
  const wopen = { address: OP.wopen, abi: PayableWOPEN.abi }
  await world.send(alice, wopen, 'deposit', [], { value: 5n * ETHER })
  t.equal(await world.read(wopen, 'balanceOf', [alice.address]), 5n * ETHER)
  await world.send(alice, wopen, 'transfer', [bob.address, 2n * ETHER])
  await world.send(bob, wopen, 'withdraw', [ETHER])
  t.equal(await world.read(wopen, 'totalSupply'), 4n * ETHER)
  t.equal(world.balance(OP.wopen), 4n * ETHER)
  t.match(await world.refusal(bob, wopen, 'withdraw', [2n * ETHER]), /^ERC20InsufficientBalance/)
  t.equal(await world.read(wopen, 'symbol'), 'WOPEN')
  const unknown = { ...wopen, abi: parseAbi(['function permit()']) }
  t.equal(await world.refusal(bob, unknown, 'permit'), 'no reason', 'no phantom function')
})

t.test('Permit2 moves tokens by a signature for this chain', async (t) => {
  const abi = parseAbi([
    'function DOMAIN_SEPARATOR() view returns (bytes32)',
    'struct TokenPermissions { address token; uint256 amount; }',
    'struct PermitTransferFrom { TokenPermissions permitted; uint256 nonce; uint256 deadline; }',
    'struct SignatureTransferDetails { address to; uint256 requestedAmount; }',
    'function permitTransferFrom(PermitTransferFrom, SignatureTransferDetails, address, bytes)',
  ])
  const permit2 = { address: at('permit2'), abi }
  const domain = { name: 'Permit2', chainId: CHAIN_ID, verifyingContract: permit2.address }
  const wopen = { address: OP.wopen, abi: PayableWOPEN.abi }
  await world.send(alice, wopen, 'deposit', [], { value: ETHER })
  await world.send(alice, wopen, 'approve', [permit2.address, maxUint160])
  const permitted = { token: OP.wopen, amount: 7n }
  const message = { permitted, spender: bob.address, nonce: 0n, deadline: 2n ** 40n }
  const types = PERMIT_TRANSFER_FROM
  const typed = { domain, types, primaryType: 'PermitTransferFrom', message } as const
  const separator = keccak256(
    encodeAbiParameters(
      ['bytes32', 'bytes32', 'uint256', 'address'].map((type) => ({ type })),
      [
        keccak256(viemHex('EIP712Domain(string name,uint256 chainId,address verifyingContract)')),
        keccak256(viemHex('Permit2')),
        BigInt(CHAIN_ID),
        permit2.address,
      ],
    ),
  )
  t.equal(await world.read(permit2, 'DOMAIN_SEPARATOR'), separator)
  t.ok(code(permit2.address).includes(separator.slice(2)), 'it was made for this chain id')
  const { nonce, deadline } = message
  const permit = { permitted, nonce, deadline }
  const details = { to: carol.address, requestedAmount: 7n }
  const signature = await owner.signTypedData(typed)
  const call = [permit, details, alice.address, signature]
  await world.send(bob, permit2, 'permitTransferFrom', call)
  t.equal(await world.read(wopen, 'balanceOf', [carol.address]), 7n)
  const again = await world.sendRaw(bob, permit2, 'permitTransferFrom', call)
  t.equal(again.receipt.status, 0, 'once')
})

for (const name of Object.keys(accounts) as EntryPointName[]) {
  t.test(`${name} runs an operation that creates its own account`, async (t) => {
    const abi = entryPointAbi(name)
    const entryPoint = { address: at(name), abi }
    const factory = accountFactory(name)
    const sender = await world.read<Hex>(factory, 'getAddress', [alice.address, 0n])
    const create = { abi: factory.abi, functionName: 'createAccount', args: [alice.address, 0n] }
    const run = parseAbi(['function execute(address dest, uint256 value, bytes func)'])
    const execute = { abi: run, functionName: 'execute', args: [SOMEBODY, 3n, '0x'] } as const
    await world.send(bob, entryPoint, 'depositTo', [sender], { value: ETHER })
    const unsigned = {
      sender,
      nonce: 0n,
      factory: factory.address,
      factoryData: encodeFunctionData(create),
      callData: encodeFunctionData(execute),
      callGasLimit: 200_000n,
      verificationGasLimit: 1_000_000n,
      preVerificationGas: 100_000n,
      maxFeePerGas: 1_000_000_000n,
      maxPriorityFeePerGas: 1n,
      signature: '0x' as Hex,
    }
    const pack = name === 'entryPointV06' ? operationV06 : toPackedUserOperation
    const hash = await world.read<Hex>(entryPoint, 'getUserOpHash', [pack(unsigned)])
    // A SimpleAccount before v0.8 wants a personal message, one of v0.8 the EIP-712 hash itself.
    const signature =
      name === 'entryPointV08'
        ? await owner.sign({ hash })
        : await owner.signMessage({ message: { raw: hash } })
    const signed = pack({ ...unsigned, signature })
    // The account pays 3 wei; it has what is sent to it before it exists.
    const before = world.balance(SOMEBODY)
    await fund(sender)
    const { receipt } = await world.send(carol, entryPoint, 'handleOps', [[signed], carol.address])
    t.equal(world.balance(SOMEBODY) - before, 3n)
    t.ok(toHex(world.chain.stateAt('unsafe').code(sender)).length > 2, 'the account exists')
    t.ok(receipt.gasUsed > 100_000n)
  })
}

function entryPointAbi(name: EntryPointName): Abi {
  if (name === 'entryPointV06') return entryPoint06Abi
  return name === 'entryPointV07' ? entryPoint07Abi : entryPoint08Abi
}

/** Before v0.7 gas limits stood side by side and the factory's call in one field. */
function operationV06(operation: Parameters<typeof toPackedUserOperation>[0]): unknown {
  const { factory, factoryData, ...rest } = operation
  const initCode = factory && factoryData ? concatHex([factory, factoryData]) : '0x'
  return { ...rest, initCode, paymasterAndData: '0x' }
}

t.test('CreateX deploys by CREATE2 and by CREATE3 where it says it will', async (t) => {
  const createX = {
    address: at('createX'),
    abi: parseAbi([
      'function deployCreate2(bytes32 salt, bytes initCode) payable returns (address)',
      'function computeCreate2Address(bytes32 salt, bytes32 initCodeHash) view returns (address)',
      'function deployCreate3(bytes32 salt, bytes initCode) payable returns (address)',
      'function computeCreate3Address(bytes32 salt) view returns (address)',
    ]),
  }
  // Runtime code of one byte, STOP.
  const initCode: Hex = '0x60016000f3'
  const salt: Hex = `0x${'5a'.repeat(32)}`
  // A salt that names neither sender nor chain is hashed before it is used.
  const guarded = keccak256(salt)
  const byHash = [guarded, keccak256(initCode)]
  const expected = [
    ['deployCreate2', await world.read<Hex>(createX, 'computeCreate2Address', byHash)],
    ['deployCreate3', await world.read<Hex>(createX, 'computeCreate3Address', [guarded])],
  ] as const
  for (const [name, address] of expected) {
    const there = address.toLowerCase() as Hex
    await world.send(alice, createX, name, [salt, initCode])
    t.equal(toHex(world.chain.stateAt('unsafe').code(there)), '0x00', name)
    const again = await world.sendRaw(alice, createX, name, [salt, initCode])
    t.equal(again.receipt.status, 0, 'once')
  }
})

const RELEASES = [
  ['1.4.1', ''],
  ['1.3.0', 'V130'],
  ['1.3.0', 'V130Canonical'],
  ['1.5.0', 'V150'],
] as const
for (const [version, suffix] of RELEASES) {
  t.test(
    `a Safe ${version} is made by its factory and pays by its owner’s signature (${suffix})`,
    async (t) => {
      const safeAbi = parseAbi([
        'function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken, uint256 payment, address paymentReceiver)',
        'function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)',
        'function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) view returns (bytes32)',
        'function VERSION() view returns (string)',
      ])
      const factoryAbi = parseAbi([
        'function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) returns (address)',
      ])
      const factory = { address: at(`safeProxyFactory${suffix}`), abi: factoryAbi }
      const handler = at(`safeCompatibilityFallbackHandler${suffix}`)
      for (const singleton of [at(`safe${suffix}`), at(`safeL2${suffix}`)]) {
        const initializer = encodeFunctionData({
          abi: safeAbi,
          functionName: 'setup',
          args: [[alice.address], 1n, zeroAddress, '0x', handler, zeroAddress, 0n, zeroAddress],
        })
        const call = [singleton, initializer, 1n]
        const safe = {
          address: await world.read<Hex>(factory, 'createProxyWithNonce', call),
          abi: safeAbi,
        }
        await world.send(bob, factory, 'createProxyWithNonce', call)
        t.equal(await world.read(safe, 'VERSION'), version)
        await fund(safe.address)
        const before = world.balance(SOMEBODY)
        const payment = [SOMEBODY, 4n, '0x', 0, 0n, 0n, 0n, zeroAddress, zeroAddress]
        const hash = await world.read<Hex>(safe, 'getTransactionHash', [...payment, 0n])
        const signature = await owner.sign({ hash })
        await world.send(bob, safe, 'execTransaction', [...payment, signature])
        t.equal(world.balance(SOMEBODY) - before, 4n)
        const again = await world.sendRaw(bob, safe, 'execTransaction', [...payment, signature])
        t.equal(again.receipt.status, 0)
      }
    },
  )
}

/** 10 wei to an address, whatever stands there. */
async function fund(to: Hex): Promise<void> {
  const abi = parseAbi([
    'struct Call { address target; bool allowFailure; uint256 value; bytes callData; }',
    'function aggregate3Value(Call[] calls) payable',
  ])
  const call = { target: to, allowFailure: false, value: 10n, callData: '0x' }
  await world.send(bob, { address: STANDARD.multicall3, abi }, 'aggregate3Value', [[call]], {
    value: 10n,
  })
}
