/**
 * L1's side of the bridge on a real L1 with a made-up L2: marks of withdrawals in a storage trie of our
 * own, output roots over it, games about them, and a clock that is moved by hand.
 */
import {
  type Abi,
  type Account,
  type BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  encodeAbiParameters,
  http,
  keccak256,
  type PublicClient,
  type TransactionReceipt,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import {
  AnchorStateRegistry,
  AttestationVerifier,
  DisputeGameFactory,
  GovernanceRelay,
  OpenToken,
  OutputGame,
  Portal,
  SystemConfig,
} from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, keccak, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { EMPTY_ROOT, Trie } from '../../node/chain/trie.ts'
import { localSigner } from '../../node/keys/signer.ts'
import {
  type AttestationDomain,
  attestationProof,
  signOutput,
} from '../../prover/settlement/attestation.ts'
import { deployL1, type L1Deployment, type Settlement } from '../../scripts/deploy-l1.ts'
import { type Anvil, KEYS, startAnvil } from '../node/l1/anvil.ts'
import type { Wallet } from './chain.ts'
import { testSettlement, VALIDATORS } from './settlement.ts'

export type Withdrawal = {
  readonly nonce: bigint
  readonly sender: Hex
  readonly target: Hex
  readonly value: bigint
  readonly gasLimit: bigint
  readonly data: Hex
}

export type Output = {
  readonly l2BlockNumber: bigint
  readonly root: Hex
  readonly rootProof: {
    readonly version: Hex
    readonly stateRoot: Hex
    readonly messagePasserStorageRoot: Hex
    readonly latestBlockhash: Hex
  }
  /** Of the withdrawal's mark. */
  proof(withdrawal: Withdrawal): Hex[]
}

export type Game = { readonly index: bigint; readonly proxy: Hex; readonly output: Output }
export type Call = {
  readonly to: Hex
  readonly fn: string
  readonly args?: readonly unknown[]
  readonly value?: bigint
  readonly gas?: bigint
}

/** Every error and function of ours on L1. */
const ABI: Abi = [
  ...Portal.abi,
  ...OutputGame.abi,
  ...DisputeGameFactory.abi,
  ...AnchorStateRegistry.abi,
  ...AttestationVerifier.abi,
  ...OpenToken.abi,
  ...SystemConfig.abi,
  ...GovernanceRelay.abi,
].filter((item, i, all) => {
  const name = (entry: (typeof all)[number]) =>
    'name' in entry ? `${entry.type} ${entry.name}` : ''
  return item.type !== 'constructor' && all.findIndex((other) => name(other) === name(item)) === i
}) as Abi

/** Short enough to step through: challenge 100, proof 50, maturity 30, air gap 20 seconds. */
export const SHORT: Partial<Settlement> = {
  challengeSeconds: 100n,
  proveSeconds: 50n,
  maturitySeconds: 30n,
  finalitySeconds: 20n,
  upgradeSeconds: 1_000n,
  validatorExitSeconds: 500n,
}

export class BridgeL1 {
  readonly anvil: Anvil
  readonly l1: L1Deployment
  readonly settlement: Settlement
  readonly reader: PublicClient
  /** Holds all OPEN, has locked `LOCKED`. */
  readonly holder: Account = privateKeyToAccount(KEYS[0] as Hex)
  readonly other: Account = privateKeyToAccount(KEYS[1] as Hex)
  #blocks = 0n

  private constructor(anvil: Anvil, l1: L1Deployment, settlement: Settlement) {
    this.anvil = anvil
    this.l1 = l1
    this.settlement = settlement
    this.reader = createPublicClient({
      transport: http(anvil.url),
      pollingInterval: 10,
      cacheTime: 0,
    })
  }

  static readonly LOCKED: bigint = 1_000_000n

  /** @param changes of the settlement, and what else `deployL1` takes */
  static async start(
    t: { teardown(fn: () => unknown): void },
    changes: Partial<Settlement> = {},
    more: Partial<Parameters<typeof deployL1>[0]> = {},
  ): Promise<BridgeL1> {
    const anvil = await startAnvil()
    t.teardown(() => anvil.stop())
    await anvil.rpc('evm_setAutomine', true)
    const settlement = testSettlement({ ...SHORT, ...changes })
    const deployerKey = KEYS[0] as Hex
    const options = { rpcUrl: anvil.url, deployerKey, settlement, pollingIntervalMs: 10 }
    const l1 = await deployL1({ ...options, ...more })
    const world = new BridgeL1(anvil, l1, settlement)
    const bond = settlement.validatorBond * BigInt(VALIDATORS.length)
    await world.send({ to: l1.token, fn: 'approve', args: [l1.attestationVerifier, bond] })
    for (const { address } of VALIDATORS) {
      await world.send({ to: l1.attestationVerifier, fn: 'bond', args: [address] })
    }
    await world.send({ to: l1.token, fn: 'approve', args: [l1.portal, BridgeL1.LOCKED] })
    const to = world.holder.address
    const args = [to, BridgeL1.LOCKED, 0n, 100_000n, false, '0x']
    await world.send({ to: l1.portal, fn: 'depositERC20Transaction', args })
    return world
  }

  get domain(): AttestationDomain {
    const { l1ChainId, attestationVerifier: verifier } = this.l1
    return { l1ChainId, l2ChainId: this.settlement.l2ChainId, verifier }
  }

  // --- L1 ---

  async send(call: Call, from: Account = this.holder): Promise<TransactionReceipt> {
    const { to: address, fn: functionName, args = [], ...rest } = call
    const writer = createWalletClient({ account: from, transport: http(this.anvil.url) })
    const request = { address, abi: ABI, functionName, args, chain: null, ...rest }
    const hash = await writer.writeContract(request as never)
    return this.reader.waitForTransactionReceipt({ hash })
  }

  async read<T>(to: Hex, fn: string, ...args: unknown[]): Promise<T> {
    const call = { address: to, abi: ABI, functionName: fn, args }
    return (await this.reader.readContract(call)) as T
  }

  /** The error's name, or `accepted`. */
  async refusal(call: Call, from: Account = this.holder): Promise<string> {
    const { to: address, fn: functionName, args = [], ...rest } = call
    const request = { address, abi: ABI, functionName, args, account: from, ...rest }
    try {
      await this.reader.simulateContract(request as never)
      return 'accepted'
    } catch (error) {
      const revert = (error as BaseError).walk((e) => e instanceof ContractFunctionRevertedError)
      const { data, reason } = (revert ?? {}) as ContractFunctionRevertedError
      return data?.errorName ?? reason ?? 'another error'
    }
  }

  /** Moves L1's clock. */
  async pass(seconds: bigint): Promise<void> {
    await this.anvil.rpc('evm_increaseTime', Number(seconds))
    await this.anvil.mine()
  }

  balanceOf(account: Hex): Promise<bigint> {
    return this.read<bigint>(this.l1.token, 'balanceOf', account)
  }

  // --- the made-up L2 ---

  /** The next output: these marks, and a few slots of other use. */
  output(withdrawals: readonly Withdrawal[], l2BlockNumber: bigint = ++this.#blocks): Output {
    if (l2BlockNumber > this.#blocks) this.#blocks = l2BlockNumber
    const nodes = new Map<Hex, Uint8Array>()
    const load = (hash: Uint8Array) => nodes.get(toHex(hash))
    const trie = new Trie(load, EMPTY_ROOT)
    trie.put(keccak(fromHex(`0x${'00'.repeat(31)}01`)), Uint8Array.of(5))
    for (const withdrawal of withdrawals) trie.put(keyOf(withdrawal), Uint8Array.of(1))
    const { root: storageRoot, nodes: made } = trie.commit()
    for (const { hash, rlp } of made) nodes.set(toHex(hash), rlp)
    const committed = new Trie(load, storageRoot)
    const rootProof = {
      version: ZERO_HASH,
      stateRoot: keccak256('0x01'),
      messagePasserStorageRoot: toHex(storageRoot),
      latestBlockhash: keccak256('0x02'),
    }
    const parts = Object.values(rootProof).map((part) => part.slice(2))
    return {
      l2BlockNumber,
      root: keccak256(`0x${parts.join('')}`),
      rootProof,
      proof: (withdrawal) => committed.prove(keyOf(withdrawal)).map(toHex),
    }
  }

  proposal({ root, l2BlockNumber }: Pick<Output, 'root' | 'l2BlockNumber'>): Call {
    const { gameType, proposerBond } = this.settlement
    const extraData = encodeAbiParameters([{ type: 'uint256' }], [l2BlockNumber])
    const args = [gameType, root, extraData]
    return { to: this.l1.disputeGameFactory, fn: 'create', args, value: proposerBond }
  }

  async propose(output: Output, from: Account = this.holder): Promise<Game> {
    await this.send(this.proposal(output), from)
    const factory = this.l1.disputeGameFactory
    const index = (await this.read<bigint>(factory, 'gameCount')) - 1n
    const [, , proxy] = await this.read<[number, bigint, Hex]>(factory, 'gameAtIndex', index)
    return { index, proxy, output }
  }

  /** `abi.encode(bytes[])` of these validators' signatures. */
  async attest(
    { l2BlockNumber, root: outputRoot }: Pick<Output, 'root' | 'l2BlockNumber'>,
    signers: readonly Wallet[] = VALIDATORS,
  ): Promise<Hex> {
    const signed = signers.map(({ key }) =>
      signOutput(this.domain, { l2BlockNumber, outputRoot }, localSigner(key)),
    )
    return toHex(attestationProof(await Promise.all(signed)))
  }

  /** Proposed, proven by the quorum and resolved. */
  async settle(output: Output): Promise<Game> {
    const game = await this.propose(output)
    await this.send({ to: game.proxy, fn: 'prove', args: [await this.attest(output)] })
    await this.send({ to: game.proxy, fn: 'resolve' })
    return game
  }

  prove(withdrawal: Withdrawal, { index, output }: Game): Call {
    const args = [withdrawal, index, output.rootProof, output.proof(withdrawal)]
    return { to: this.l1.portal, fn: 'proveWithdrawalTransaction', args }
  }

  finalize(withdrawal: Withdrawal, submitter?: Hex): Call {
    const to = this.l1.portal
    return submitter
      ? { to, fn: 'finalizeWithdrawalTransactionExternalProof', args: [withdrawal, submitter] }
      : { to, fn: 'finalizeWithdrawalTransaction', args: [withdrawal] }
  }

  check(withdrawal: Withdrawal, submitter: Hex = this.holder.address): Promise<string> {
    const args = [withdrawalHash(withdrawal), submitter]
    return this.refusal({ to: this.l1.portal, fn: 'checkWithdrawal', args })
  }

  /** Proven against a settled output, all windows passed. */
  async mature(withdrawals: readonly Withdrawal[]): Promise<Game> {
    const game = await this.settle(this.output(withdrawals))
    for (const withdrawal of withdrawals) await this.send(this.prove(withdrawal, game))
    await this.pass(31n)
    return game
  }
}

export function withdrawalHash(withdrawal: Withdrawal): Hex {
  const { nonce, sender, target, value, gasLimit, data } = withdrawal
  const types = ['uint256', 'address', 'address', 'uint256', 'uint256', 'bytes']
  return keccak256(
    encodeAbiParameters(
      types.map((type) => ({ type })),
      [nonce, sender, target, value, gasLimit, data],
    ),
  )
}

function keyOf(withdrawal: Withdrawal): Uint8Array {
  return keccak(fromHex(keccak256(`${withdrawalHash(withdrawal)}${'00'.repeat(32)}`)))
}
