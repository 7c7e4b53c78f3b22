/**
 * The plan of a network: one JSON file that says everything people decide about it, read and held together before a
 * transaction is sent. What it leaves out is `SETTLEMENT_DEFAULTS` and `GOVERNANCE_DEFAULTS`, the values of a public chain.
 *
 *     { "l2ChainId": 1612, "sequencer": "0x…", "batcher": "0x…", "validators": ["0x…"], "threshold": 1,
 *       "owner": "governance",
 *       "vesting": { "start": "2026-12-01T00:00:00Z",
 *                    "allocations": [{ "part": "community", "beneficiary": "0x…", "open": "617100000" }, …] } }
 */
import { isAddress, parseEther } from 'viem'
import { OPENLEDGER } from '../genesis/addresses.ts'
import {
  assertEconomy,
  type Economy,
  GOVERNANCE_DEFAULTS,
  type Governance,
  type SystemConfig,
} from '../genesis/chain.ts'
import { GAS_LIMIT_MAX, GAS_LIMIT_MIN } from '../genesis/limits.ts'
import { type Hex, ZERO_ADDRESS } from '../node/base/bytes.ts'
import { messageOf, userError } from '../node/base/errors.ts'
import { nearest } from '../node/base/nearest.ts'
import { SETTLEMENT_DEFAULTS, type Settlement } from './deploy-l1.ts'
import { type Allocation, assertVestingPlan, PARTS, type VestingPlan } from './vesting.ts'

export type DeployPlan = {
  readonly l2ChainId: number
  readonly system: SystemConfig
  readonly settlement: Settlement
  readonly economy: Economy & { readonly governance: Governance }
  readonly seqWindowSize: bigint
  /** Absent: the whole supply is the holder's. */
  readonly vesting?: VestingPlan
  readonly holder?: Hex
}

/** L1 blocks of 12 s in half a day. */
const SEQ_WINDOW_SIZE = 3_600n
const GAS_LIMIT = 60_000_000n
/** Of the OP Stack (Fjord, with blobs). */
const SCALARS = { baseFeeScalar: 1_368, blobBaseFeeScalar: 810_949 } as const
const EIP1559 = { eip1559Denominator: 250, eip1559Elasticity: 6 } as const
const VALIDATORS_MAX = 64
/** 32 bits, on L1. */
const GAME_TYPE_MAX = 2n ** 32n - 1n
/** A day, or a time that says of which zone: one without is another on every machine. */
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/

const KEYS = [
  ...['l2ChainId', 'sequencer', 'batcher', 'validators', 'threshold', 'owner'],
  ...['treasury', 'arbiter', 'feeRecipient', 'epochSeconds', 'challengeSeconds'],
  ...['gasLimit', 'seqWindowSize', 'vesting', 'holder', 'settlement', 'governance'],
]
const VESTING_KEYS = ['start', 'allocations']
const ALLOCATION_KEYS = ['part', 'beneficiary', 'open']
/** wei: as text beyond 2^53. */
const BONDS = ['validatorBond', 'proposerBond', 'challengerBond'] as const
/** Numbers that a plan may set otherwise: seconds, wei, per cent. */
const SETTLEMENT_KEYS = [
  ...BONDS,
  ...['validatorExitSeconds', 'gameType', 'challengeSeconds', 'proveSeconds'],
  ...['maturitySeconds', 'finalitySeconds', 'upgradeSeconds'],
] as const
const GOVERNANCE_KEYS = [
  ...['votingDelay', 'votingPeriod', 'proposalThreshold', 'quorumPercent', 'exitWindow'],
  'unbondingSeconds',
] as const

/** @throws NodeError `deploy-plan` naming the field, `vesting-plan` */
export function readDeployPlan(text: string): DeployPlan {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw refuse('the file', `is no JSON: ${messageOf(error)}`)
  }
  const plan = new Fields('', value, KEYS)
  const l2ChainId = Number(plan.integer('l2ChainId'))
  if (l2ChainId === 0) throw refuse('l2ChainId', 'is 0; a chain has a number of its own')
  const batcher = plan.address('batcher')
  const vesting = plan.has('vesting')
    ? readVesting(plan.fields('vesting', VESTING_KEYS))
    : undefined
  if (vesting && plan.has('holder'))
    throw refuse('holder', 'cannot be beside vesting, which says whose every wei is')
  const result: DeployPlan = {
    l2ChainId,
    system: {
      batcher,
      gasLimit: plan.integer('gasLimit', GAS_LIMIT),
      ...SCALARS,
      ...EIP1559,
      unsafeBlockSigner: plan.address('sequencer'),
    },
    settlement: readSettlement(plan, l2ChainId),
    economy: {
      governor: OPENLEDGER.openTimelock,
      arbiter: plan.anybody('arbiter', batcher),
      platformTreasury: plan.address('treasury', batcher),
      stakersPool: OPENLEDGER.staking,
      feeRecipient: plan.address('feeRecipient', batcher),
      epochSeconds: plan.integer('epochSeconds', 86_400n),
      challengeSeconds: plan.integer('challengeSeconds', 7n * 86_400n),
      governance: {
        ...GOVERNANCE_DEFAULTS,
        ...plan.numbers('governance', GOVERNANCE_KEYS),
        vestingStart: vesting?.start ?? 0n,
      },
    },
    seqWindowSize: plan.integer('seqWindowSize', SEQ_WINDOW_SIZE),
    ...(vesting && { vesting }),
    ...(plan.has('holder') && { holder: plan.address('holder') }),
  }
  assertTogether(result)
  return result
}

function readSettlement(plan: Fields, l2ChainId: number): Settlement {
  const validators = plan.addresses('validators', VALIDATORS_MAX)
  const threshold = Number(plan.integer('threshold'))
  if (threshold < 1 || threshold > validators.length)
    throw refuse(
      'threshold',
      `is ${threshold}; of ${validators.length} validators 1 to all must sign`,
    )
  const { gameType, ...numbers } = plan.numbers('settlement', SETTLEMENT_KEYS)
  if (gameType !== undefined && gameType > GAME_TYPE_MAX)
    throw refuse('settlement.gameType', `is ${gameType}; ${GAME_TYPE_MAX} at most`)
  return {
    ...SETTLEMENT_DEFAULTS,
    ...numbers,
    ...(gameType !== undefined && { gameType: Number(gameType) }),
    l2ChainId,
    validators,
    threshold,
    owner: plan.text('owner', 'governance') === 'governance' ? 'governance' : plan.anybody('owner'),
  }
}

function readVesting(fields: Fields): VestingPlan {
  const said = fields.text('start')
  const date = DATE.test(said) ? Date.parse(said) / 1_000 : Number.NaN
  const start = /^\d+$/.test(said) ? Number(said) : date
  if (!Number.isSafeInteger(start))
    throw refuse('vesting.start', `is '${said}'; a date such as 2026-12-01T00:00:00Z, or seconds`)
  const allocations = fields.list('allocations', ALLOCATION_KEYS).map((one): Allocation => {
    const said = one.text('part')
    const part = PARTS.find((known) => known === said)
    if (!part) throw refuse(one.path('part'), `is '${said}'; it may be ${PARTS.join(', ')}`)
    return { part, beneficiary: one.address('beneficiary'), wei: one.open('open') }
  })
  const plan = { start: BigInt(start), allocations }
  assertVestingPlan(plan)
  return plan
}

/** What each field alone allows and all together do not. */
function assertTogether({ system, settlement, economy }: DeployPlan): void {
  const { gasLimit } = system
  if (gasLimit < GAS_LIMIT_MIN || gasLimit > GAS_LIMIT_MAX)
    throw refuse('gasLimit', `is ${gasLimit}; ${GAS_LIMIT_MIN} to ${GAS_LIMIT_MAX}`)
  try {
    assertEconomy(economy)
  } catch (error) {
    throw refuse('governance', messageOf(error))
  }
  const withdrawal = withdrawalSeconds(settlement)
  const { exitWindow } = economy.governance
  if (exitWindow <= withdrawal)
    throw refuse(
      'governance.exitWindow',
      `is ${exitWindow} s; whoever disagrees with a vote needs ${withdrawal} s to withdraw, so it must be longer`,
    )
  if (settlement.upgradeSeconds <= withdrawal)
    throw refuse(
      'settlement.upgradeSeconds',
      `is ${settlement.upgradeSeconds} s; it must be longer than a withdrawal, ${withdrawal} s`,
    )
}

/** From a proposed output to payment when it is challenged and proven at the last moment; a proof ages meanwhile. */
export function withdrawalSeconds(settlement: Settlement): bigint {
  const { challengeSeconds, proveSeconds, finalitySeconds, maturitySeconds } = settlement
  const game = challengeSeconds + proveSeconds + finalitySeconds
  return game > maturitySeconds ? game : maturitySeconds
}

/** A JSON object, field by field; an error says the whole path. */
class Fields {
  readonly #path: string
  readonly #value: Readonly<Record<string, unknown>>

  constructor(path: string, value: unknown, keys: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw refuse(path || 'the file', 'must be an object')
    this.#path = path
    this.#value = value as Record<string, unknown>
    for (const name of Object.keys(this.#value)) {
      if (keys.includes(name)) continue
      const near = nearest(name, keys)
      throw refuse(
        this.path(name),
        `is unknown${near ? `: did you mean ${near}?` : `; known: ${keys.join(', ')}`}`,
      )
    }
  }

  path(name: string): string {
    return this.#path ? `${this.#path}.${name}` : name
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined
  }

  fields(name: string, keys: readonly string[]): Fields {
    return new Fields(this.path(name), this.#value[name], keys)
  }

  list(name: string, keys: readonly string[]): Fields[] {
    const value = this.#value[name]
    if (!Array.isArray(value)) throw refuse(this.path(name), 'must be a list')
    return value.map((item, i) => new Fields(`${this.path(name)}[${i}]`, item, keys))
  }

  text(name: string, fallback?: string): string {
    const value = this.#value[name] ?? fallback
    if (typeof value === 'string' || typeof value === 'number') return String(value)
    throw refuse(this.path(name), `is ${said(value)}; a text is wanted`)
  }

  /** Up to 2^53 - 1, which is what `rollup.json` can say. */
  integer(name: string, fallback?: bigint): bigint {
    const value = this.wei(name, fallback)
    if (value <= Number.MAX_SAFE_INTEGER) return value
    throw refuse(this.path(name), `is ${value}; ${Number.MAX_SAFE_INTEGER} at most`)
  }

  wei(name: string, fallback?: bigint): bigint {
    const value = this.#value[name] ?? fallback
    if (typeof value === 'bigint') return value
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value)
    if (typeof value === 'string' && /^\d{1,30}$/.test(value)) return BigInt(value)
    throw refuse(this.path(name), `is ${said(value)}; a whole number is wanted`)
  }

  /** wei of an amount of OPEN, as text: a JSON number has no eighteen decimals. */
  open(name: string): bigint {
    const value = this.#value[name]
    if (typeof value === 'string' && /^\d{1,10}(\.\d{1,18})?$/.test(value)) return parseEther(value)
    throw refuse(this.path(name), `is ${said(value)}; OPEN as text is wanted, such as "1000000.5"`)
  }

  address(name: string, fallback?: Hex): Hex {
    return asSomebody(this.path(name), this.#value[name] ?? fallback)
  }

  /** The zero address, too, which is nobody. */
  anybody(name: string, fallback?: Hex): Hex {
    return asAddress(this.path(name), this.#value[name] ?? fallback)
  }

  /** All different, at least one. */
  addresses(name: string, most: number): Hex[] {
    const value = this.#value[name]
    if (!Array.isArray(value) || value.length === 0 || value.length > most)
      throw refuse(this.path(name), `must be a list of 1 to ${most} addresses`)
    const list = value.map((one, i) => asSomebody(`${this.path(name)}[${i}]`, one))
    const twice = list.find((one, i) => list.indexOf(one) !== i)
    if (twice) throw refuse(this.path(name), `has ${twice} twice`)
    return list
  }

  /** An object of numbers, none of which must be there. */
  numbers<K extends string>(name: string, keys: readonly K[]): Partial<Record<K, bigint>> {
    if (!this.has(name)) return {}
    const fields = this.fields(name, keys)
    return Object.fromEntries(
      keys
        .filter((key) => fields.has(key))
        .map((key) => [key, isBond(key) ? fields.wei(key) : fields.integer(key)]),
    ) as Partial<Record<K, bigint>>
  }
}

/** A checksum that is there must be right (ERC-55): a typing error in a beneficiary would be for good. */
function asAddress(path: string, value: unknown): Hex {
  if (typeof value === 'string' && isAddress(value)) return value.toLowerCase() as Hex
  throw refuse(path, `is ${said(value)}; an address is wanted, with a right checksum if it has one`)
}

function asSomebody(path: string, value: unknown): Hex {
  const address = asAddress(path, value)
  if (address === ZERO_ADDRESS)
    throw refuse(path, 'is the zero address, which nobody has the key of')
  return address
}

const isBond = (key: string): boolean => BONDS.some((bond) => bond === key)

const said = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value))

function refuse(field: string, what: string): Error {
  return userError('deploy-plan', `${field} ${what}`)
}
