/**
 * The L2 contracts on our own chain, with the real precompiles: each `send` is a block with one
 * transaction, and calls, events and refusals come decoded by the contracts' ABIs.
 */
import {
  type Abi,
  decodeErrorResult,
  decodeEventLog,
  decodeFunctionResult,
  encodeFunctionData,
} from 'viem'
import { genesisAlloc } from '../../genesis/alloc.ts'
import { type ChainConfig, economyOf, type Governance } from '../../genesis/chain.ts'
import * as contracts from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import type { Chain } from '../../node/chain/chain.ts'
import type { GenesisAlloc } from '../../node/chain/genesis.ts'
import type { Receipt } from '../../node/chain/types.ts'
import { creationCodeOf } from '../../node/preinstalls.ts'
import type { Store } from '../../node/store/store.ts'
import {
  alice,
  bob,
  ETHER,
  extend,
  openTestChain,
  signedTx,
  testConfig,
  type Wallet,
  walletOf,
} from './chain.ts'

export const carol: Wallet = walletOf(3)
export const provider: Wallet = walletOf(4)
export const operator: Wallet = walletOf(5)
export const PEOPLE: readonly Wallet[] = [alice, bob, carol, provider, operator]

/** Seconds, but for the whole OPEN of the threshold and the per cent of the quorum. */
export const GOVERNANCE: Governance = {
  votingDelay: 10n,
  votingPeriod: 60n,
  proposalThreshold: 100n,
  quorumPercent: 4n,
  exitWindow: 40n,
  unbondingSeconds: 200n,
  vestingStart: 0n,
}

/** Platform, stakers and fees each go somewhere of their own, so that a mix-up shows. */
export const economyConfig: ChainConfig = {
  ...testConfig,
  l1Contracts: { token: `0x${'7e'.repeat(20)}` },
  economy: {
    governor: operator.address,
    arbiter: operator.address,
    platformTreasury: `0x${'a1'.repeat(20)}`,
    stakersPool: `0x${'a2'.repeat(20)}`,
    feeRecipient: `0x${'a3'.repeat(20)}`,
    epochSeconds: 60n,
    challengeSeconds: 90n,
    governance: GOVERNANCE,
  },
}

export type Contract = { readonly address: Hex; readonly abi: Abi }
export type Event = { readonly name: string; readonly args: Readonly<Record<string, unknown>> }
export type Sent = { readonly receipt: Receipt; readonly events: readonly Event[] }
type Options = { readonly value?: bigint; readonly gasLimit?: bigint }

/** Whose custom errors may come out of a call: nested contracts revert with their own. */
const ALL_ERRORS: Abi = Object.values(contracts).flatMap(({ abi }) =>
  (abi as Abi).filter((item) => item.type === 'error'),
)
const ALL_EVENTS: Abi = Object.values(contracts).flatMap(({ abi }) =>
  (abi as Abi).filter((item) => item.type === 'event'),
)

export class Economy {
  readonly chain: Chain
  readonly store: Store
  readonly close: () => Promise<void>
  readonly #nonces = new Map<Hex, bigint>()
  #turn: Promise<unknown> = Promise.resolve()

  /** @param options.blockTime seconds; long blocks make waiting short */
  static async open(
    path: string,
    options: { blockTime?: bigint; alloc?: GenesisAlloc; governance?: Partial<Governance> } = {},
  ): Promise<Economy> {
    const people = PEOPLE.map(({ address }) => [address, { balance: 1_000n * ETHER }] as const)
    const governance = { ...GOVERNANCE, ...options.governance }
    const config = {
      ...economyConfig,
      economy: { ...economyOf(economyConfig), governance },
      blockTime: options.blockTime ?? 1n,
    }
    const alloc = {
      ...genesisAlloc(config, creationCodeOf),
      ...Object.fromEntries(people),
      ...options.alloc,
    }
    return new Economy(await openTestChain(path, alloc, config))
  }

  private constructor({ chain, store, close }: Awaited<ReturnType<typeof openTestChain>>) {
    this.chain = chain
    this.store = store
    this.close = close
  }

  get now(): bigint {
    return this.chain.head('unsafe').timestamp
  }

  /** One block with this transaction; it may fail, `status` says so. */
  async sendRaw(
    from: Wallet,
    to: Contract,
    name: string,
    args: readonly unknown[] = [],
    options: Options = {},
  ): Promise<Sent> {
    const raw = this.#sign(from, to, name, args, options)
    const executed = await this.#extend([raw])
    const receipt = executed.receipts[1]
    if (!receipt) throw new Error(`not included: ${JSON.stringify(executed.skipped)}`)
    return { receipt, events: receipt.logs.flatMap(decodeEvent) }
  }

  /** One block with a call for each of `argsList`. @throws Error when one fails. */
  async sendMany(
    from: Wallet,
    to: Contract,
    name: string,
    argsList: readonly (readonly unknown[])[],
  ): Promise<void> {
    const options = { gasLimit: 500_000n }
    const raws = argsList.map((args) => this.#sign(from, to, name, args, options))
    const { receipts } = await this.#extend(raws)
    const done = receipts.slice(1).filter(({ status }) => status === 1)
    if (done.length < raws.length) throw new Error(`${done.length} of ${raws.length} succeeded`)
  }

  /** Empty blocks until `seconds` have passed. */
  async pass(seconds: bigint = this.chain.config.blockTime): Promise<void> {
    for (const end = this.now + seconds; this.now < end; ) await this.#extend([])
  }

  /** @throws Error when it fails. */
  async send(...input: Parameters<Economy['sendRaw']>): Promise<Sent> {
    const sent = await this.sendRaw(...input)
    if (sent.receipt.status === 1) return sent
    throw new Error(`${input[2]} failed, ${sent.receipt.gasUsed} gas used`)
  }

  /** One block with a plain transfer. */
  async pay(from: Wallet, to: Hex, value: bigint): Promise<void> {
    const nonce = this.#nonceOf(from)
    const raw = signedTx(from, { nonce, to, value, gasLimit: 200_000n })
    const { receipts } = await this.#extend([raw])
    if (receipts[1]?.status !== 1) throw new Error(`${to} does not take ${value} wei`)
  }

  /** As `eth_call` on the head. @throws Refusal */
  async read<T>(
    to: Contract,
    name: string,
    args: readonly unknown[] = [],
    options: { from?: Hex; value?: bigint; gasPrice?: bigint } = {},
  ): Promise<T> {
    const data = fromHex(encodeFunctionData({ abi: to.abi, functionName: name, args }))
    const result = await this.chain.stateAt('unsafe').call({ ...options, to: to.address, data })
    const output = toHex(result.returnData)
    if (result.error) throw new Refusal(output)
    return decodeFunctionResult({ abi: to.abi, functionName: name, data: output }) as T
  }

  /** The error a transaction would end with now, as `Name(args)`; the chain is left as it is. */
  async refusal(
    from: Wallet,
    to: Contract,
    name: string,
    args: readonly unknown[] = [],
    value = 0n,
  ): Promise<string> {
    try {
      await this.read(to, name, args, { from: from.address, value })
    } catch (error) {
      if (error instanceof Refusal) return error.message
      throw error
    }
    return 'accepted'
  }

  #sign(
    from: Wallet,
    to: Contract,
    name: string,
    args: readonly unknown[],
    options: Options,
  ): Uint8Array {
    const data = fromHex(encodeFunctionData({ abi: to.abi, functionName: name, args }))
    const nonce = this.#nonceOf(from)
    const { value = 0n, gasLimit = 15_000_000n } = options
    return signedTx(from, { nonce, to: to.address, value, data, gasLimit })
  }

  /** The next of an account; a chain that is opened again knows the first. */
  #nonceOf({ address }: Wallet): bigint {
    const known = this.#nonces.get(address)
    const nonce = known ?? this.chain.stateAt('unsafe').account(address)?.nonce ?? 0n
    this.#nonces.set(address, nonce + 1n)
    return nonce
  }

  /** One block after another, whoever sends: a node and a test may at once. */
  #extend(transactions: readonly Uint8Array[]): ReturnType<typeof extend> {
    const block = this.#turn.then(() =>
      extend(this.chain, transactions, { timestamp: this.now + this.chain.config.blockTime }),
    )
    this.#turn = block.catch(() => {})
    return block
  }

  balance(address: Hex): bigint {
    return this.chain.stateAt('unsafe').account(address)?.balance ?? 0n
  }
}

export class Refusal extends Error {
  constructor(output: Hex) {
    super(describe(output))
  }
}

export const economy: ReturnType<typeof economyOf> = economyOf(economyConfig)

function describe(output: Hex): string {
  if (output === '0x') return 'no reason'
  const { errorName, args } = decodeErrorResult({ abi: ALL_ERRORS, data: output })
  return `${errorName}(${((args ?? []) as readonly unknown[]).map(plain).join(',')})`
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : String(value)
}

function decodeEvent(log: Receipt['logs'][number]): Event[] {
  const topics = log.topics as [Hex, ...Hex[]]
  try {
    const { eventName, args } = decodeEventLog({ abi: ALL_EVENTS, topics, data: toHex(log.data) })
    return [{ name: String(eventName), args: args as unknown as Event['args'] }]
  } catch {
    return []
  }
}
