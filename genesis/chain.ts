/**
 * The chain configuration: every number two nodes must share to derive the same chain from the same
 * L1. Names follow the OP Stack specification. It is data; `rollup.json` holds one of these for each
 * network, and the devnet writes one after it has deployed its L1 contracts.
 */
import { type Hex, OPENLEDGER } from './addresses.ts'

export type BlockId = { readonly hash: Hex; readonly number: bigint }

/** The part of the configuration that the SystemConfig contract on L1 may change while the chain runs;
 * in `genesis`, what holds until it does. */
export type SystemConfig = {
  /** The L1 account whose transactions to the inbox count as batches. */
  readonly batcher: Hex
  /** L2 block gas limit. */
  readonly gasLimit: bigint
  /** Fee scalars of the Fjord L1 data fee, parts of 1e6. */
  readonly baseFeeScalar: number
  readonly blobBaseFeeScalar: number
  readonly eip1559Denominator: number
  readonly eip1559Elasticity: number
  /** The key that signs unsafe blocks on gossip. */
  readonly unsafeBlockSigner: Hex
}

/** How OPEN is governed, as of genesis; proposals may change all but the exit window and the vesting. */
export type Governance = {
  /** Seconds from a proposal to its vote, and of the vote. */
  readonly votingDelay: bigint
  readonly votingPeriod: bigint
  /** Whole OPEN that a proposer must have as votes. */
  readonly proposalThreshold: bigint
  /** Per cent of the circulating supply. */
  readonly quorumPercent: bigint
  /** Seconds between a passed proposal and its execution, at least: longer than a withdrawal takes. */
  readonly exitWindow: bigint
  /** Seconds until unbonded stake can be withdrawn; above `challengeSeconds` and an epoch. */
  readonly unbondingSeconds: bigint
  /** When the vesting wallets on L1 began, seconds; 0: this token has none. */
  readonly vestingStart: bigint
}

/** Where fees go and when rewards are final, as of genesis; contracts may change it later. */
export type Economy = {
  /** May add split policies and name the pools and the arbiter. OpenTimelock: whatever holders decide. */
  readonly governor: Hex
  /** Rules over reports and disputes until games do. */
  readonly arbiter: Hex
  readonly platformTreasury: Hex
  readonly stakersPool: Hex
  /** Receives what the fee vaults hold. */
  readonly feeRecipient: Hex
  readonly epochSeconds: bigint
  /** Seconds between the end of an epoch and its claims. */
  readonly challengeSeconds: bigint
  /** Absent: `GOVERNANCE_DEFAULTS`. */
  readonly governance?: Governance
}

const DAY = 86_400n

/** First values for a public chain: two weeks to leave, a withdrawal takes a week. */
export const GOVERNANCE_DEFAULTS: Governance = {
  votingDelay: DAY,
  votingPeriod: 7n * DAY,
  proposalThreshold: 100_000n,
  quorumPercent: 4n,
  exitWindow: 14n * DAY,
  unbondingSeconds: 14n * DAY,
  vestingStart: 0n,
}

/** From `time` (seconds) on, the L1 has this `blobBaseFeeUpdateFraction` (EIP-4844, EIP-7892). */
export type BlobFork = { readonly time: bigint; readonly updateFraction: bigint }

export type ChainConfig = {
  readonly l1ChainId: number
  readonly l2ChainId: number
  readonly genesis: {
    /** The L1 block after which derivation starts; its number and hash are the first L1 origin. */
    readonly l1: BlockId
    readonly l2: BlockId
    /** Timestamp of the L2 genesis block, seconds: the timestamp of `genesis.l1`. */
    readonly l2Time: bigint
    readonly systemConfig: SystemConfig
  }
  /** Seconds between L2 blocks. */
  readonly blockTime: bigint
  /** Seconds an L2 timestamp may run ahead of its L1 origin's. */
  readonly maxSequencerDrift: bigint
  /** L1 blocks within which an epoch's batches must land. */
  readonly seqWindowSize: bigint
  /** L1 blocks within which a channel must complete. */
  readonly channelTimeout: bigint
  readonly batchInbox: Hex
  /** Portal: the only contract whose `TransactionDeposited` logs are deposits. */
  readonly portal: Hex
  /** L1 contract whose `ConfigUpdate` logs change `genesis.systemConfig`. Absent: nothing does. */
  readonly l1SystemConfig?: Hex
  /** L1 addresses people need (token, ...); not consensus. */
  readonly l1Contracts: Readonly<Record<string, Hex>>
  /** The L1's blob fee by its forks, oldest first. Absent: as known for the L1 chain id, see `node/l1/blob-fee.ts`. */
  readonly l1BlobSchedule?: readonly BlobFork[]
  /** Absent: `economyOf` says what holds. */
  readonly economy?: Economy
}

/**
 * The economy of a chain that names none: holders govern, stakers have their pool, and the operator's batcher
 * account stands in for the platform and the arbiter.
 */
export function economyOf(config: ChainConfig): Economy {
  const { batcher } = config.genesis.systemConfig
  return (
    config.economy ?? {
      governor: OPENLEDGER.openTimelock,
      arbiter: batcher,
      platformTreasury: batcher,
      stakersPool: OPENLEDGER.staking,
      feeRecipient: batcher,
      epochSeconds: 60n,
      challengeSeconds: 60n,
    }
  )
}

/** `rollup.json`: integers as JSON numbers, addresses and hashes as lower-case hex. */
export function encodeChainConfig(config: ChainConfig): string {
  const number = (_: string, value: unknown): unknown =>
    typeof value === 'bigint' ? Number(value) : value
  return `${JSON.stringify(config, number, 2)}\n`
}

/** @throws Error naming the field that is missing or of the wrong form. */
export function decodeChainConfig(text: string): ChainConfig {
  const root = new Reader('rollup.json', JSON.parse(text))
  const genesis = root.object('genesis')
  const system = genesis.object('systemConfig')
  const blockId = (name: string): BlockId => {
    const id = genesis.object(name)
    return { hash: id.hex('hash', 32), number: id.integer('number') }
  }
  return {
    l1ChainId: Number(root.integer('l1ChainId')),
    l2ChainId: Number(root.integer('l2ChainId')),
    genesis: {
      l1: blockId('l1'),
      l2: blockId('l2'),
      l2Time: genesis.integer('l2Time'),
      systemConfig: {
        batcher: system.hex('batcher', 20),
        gasLimit: system.integer('gasLimit'),
        baseFeeScalar: Number(system.integer('baseFeeScalar')),
        blobBaseFeeScalar: Number(system.integer('blobBaseFeeScalar')),
        eip1559Denominator: Number(system.integer('eip1559Denominator')),
        eip1559Elasticity: Number(system.integer('eip1559Elasticity')),
        unsafeBlockSigner: system.hex('unsafeBlockSigner', 20),
      },
    },
    blockTime: root.integer('blockTime'),
    maxSequencerDrift: root.integer('maxSequencerDrift'),
    seqWindowSize: root.integer('seqWindowSize'),
    channelTimeout: root.integer('channelTimeout'),
    batchInbox: root.hex('batchInbox', 20),
    portal: root.hex('portal', 20),
    ...(root.has('l1SystemConfig') ? { l1SystemConfig: root.hex('l1SystemConfig', 20) } : {}),
    l1Contracts: root.object('l1Contracts').addresses(),
    ...(root.has('l1BlobSchedule') ? { l1BlobSchedule: decodeBlobSchedule(root) } : {}),
    ...(root.has('economy') ? { economy: decodeEconomy(root.object('economy')) } : {}),
  }
}

function decodeBlobSchedule(root: Reader): BlobFork[] {
  const forks = root.list('l1BlobSchedule').map((fork) => ({
    time: fork.integer('time'),
    updateFraction: fork.positive('updateFraction'),
  }))
  if (forks.some(({ time }, i) => i > 0 && time <= (forks[i - 1] as BlobFork).time)) {
    throw new Error('rollup.json.l1BlobSchedule must be in order of time')
  }
  return forks
}

function decodeEconomy(economy: Reader): Economy {
  const decoded: Economy = {
    governor: economy.hex('governor', 20),
    arbiter: economy.hex('arbiter', 20),
    platformTreasury: economy.hex('platformTreasury', 20),
    stakersPool: economy.hex('stakersPool', 20),
    feeRecipient: economy.hex('feeRecipient', 20),
    epochSeconds: economy.positive('epochSeconds'),
    challengeSeconds: economy.integer('challengeSeconds'),
    ...(economy.has('governance')
      ? { governance: decodeGovernance(economy.object('governance')) }
      : {}),
  }
  assertEconomy(decoded)
  return decoded
}

/** @throws Error saying which of its numbers cannot be together */
export function assertEconomy(economy: Economy): void {
  const { governance = GOVERNANCE_DEFAULTS, epochSeconds, challengeSeconds } = economy
  const { unbondingSeconds, quorumPercent } = governance
  const challenged = epochSeconds + challengeSeconds
  if (unbondingSeconds <= challenged) {
    throw new Error(
      `rollup.json.economy: stake unbonds in ${unbondingSeconds} s; it must take longer than an epoch and its challenge time, ${challenged} s`,
    )
  }
  if (quorumPercent > 100n) {
    throw new Error(`rollup.json.economy.governance.quorumPercent is ${quorumPercent}; 100 at most`)
  }
}

function decodeGovernance(governance: Reader): Governance {
  return {
    votingDelay: governance.integer('votingDelay'),
    votingPeriod: governance.positive('votingPeriod'),
    proposalThreshold: governance.integer('proposalThreshold'),
    quorumPercent: governance.integer('quorumPercent'),
    exitWindow: governance.positive('exitWindow'),
    unbondingSeconds: governance.positive('unbondingSeconds'),
    vestingStart: governance.integer('vestingStart'),
  }
}

/** Reads one JSON object field by field; an error says the whole path. */
class Reader {
  readonly #path: string
  readonly #value: Readonly<Record<string, unknown>>

  constructor(path: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Error(`${path} must be an object`)
    }
    this.#path = path
    this.#value = value as Record<string, unknown>
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined
  }

  object(name: string): Reader {
    return new Reader(`${this.#path}.${name}`, this.#value[name])
  }

  list(name: string): Reader[] {
    const value = this.#value[name]
    if (!Array.isArray(value)) throw new Error(`${this.#path}.${name} must be a list`)
    return value.map((item, i) => new Reader(`${this.#path}.${name}[${i}]`, item))
  }

  integer(name: string): bigint {
    const value = this.#value[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
    throw new Error(`${this.#path}.${name} is ${JSON.stringify(value)}; it must be a whole number`)
  }

  positive(name: string): bigint {
    const value = this.integer(name)
    if (value > 0n) return value
    throw new Error(`${this.#path}.${name} is 0; it must be above zero`)
  }

  hex(name: string, bytes: number): Hex {
    const value = this.#value[name]
    const form = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`)
    if (typeof value === 'string' && form.test(value)) return value as Hex
    throw new Error(
      `${this.#path}.${name} is ${JSON.stringify(value)}; it must be ${bytes} bytes of lower-case hex`,
    )
  }

  addresses(): Record<string, Hex> {
    return Object.fromEntries(Object.keys(this.#value).map((name) => [name, this.hex(name, 20)]))
  }
}
