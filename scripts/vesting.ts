/**
 * The published schedule of OPEN, and who its parts are for: a plan names beneficiaries and amounts, which must be the
 * schedule's to the wei, and becomes a wallet (`Vesting`) for each of them on L1. OpenSupply on L2 has the same numbers,
 * and counts from the same start, so that what the wallets lock is what the L2 says is locked.
 */
import { formatEther } from 'viem'
import type { Hex } from '../node/base/bytes.ts'
import { userError } from '../node/base/errors.ts'

/** A twelfth of 365 days. */
export const MONTH_SECONDS = 2_628_000n
export const SUPPLY_WEI: bigint = 1_000_000_000n * 10n ** 18n

/** Parts of 10,000 of the supply, months from the start to the first wei, months of vesting (0: paid out at once). */
export const VESTING_SCHEDULE = {
  community: { part: 6_171n, cliff: 0n, months: 48n },
  investors: { part: 1_829n, cliff: 12n, months: 36n },
  team: { part: 1_500n, cliff: 12n, months: 36n },
  liquidity: { part: 500n, cliff: 0n, months: 0n },
} as const

export type Part = keyof typeof VESTING_SCHEDULE
export const PARTS: readonly Part[] = ['community', 'investors', 'team', 'liquidity']

export type Allocation = {
  readonly part: Part
  readonly beneficiary: Hex
  readonly wei: bigint
}

export type VestingPlan = {
  /** Seconds; `governance.vestingStart` of the chain's economy. */
  readonly start: bigint
  readonly allocations: readonly Allocation[]
}

/** An allocation and where it lies: its wallet on L1, or nowhere when it was paid out. */
export type VestedAllocation = Allocation & { readonly wallet?: Hex }

/** A wallet vests its owner's line to within a wei; of less than this it would vest less than a wei in some seconds. */
const ALLOCATION_WEI_MIN = 10n ** 18n
/** The year 2100: milliseconds in the place of seconds would lock everything for good. */
const START_MAX = 4_102_444_800n
/** Each is a contract to deploy and fill. */
const ALLOCATIONS_MAX = 200

export function partWei(part: Part): bigint {
  return (SUPPLY_WEI * VESTING_SCHEDULE[part].part) / 10_000n
}

/** Constructor arguments of each wallet, in the plan's order; null: paid out at once. */
export function walletArguments({
  start,
  allocations,
}: VestingPlan): (readonly unknown[] | null)[] {
  const before: Partial<Record<Part, bigint>> = {}
  return allocations.map(({ part, beneficiary, wei }) => {
    const { cliff, months } = VESTING_SCHEDULE[part]
    const filled = before[part] ?? 0n
    before[part] = filled + wei
    if (months === 0n) return null
    return [beneficiary, start + cliff * MONTH_SECONDS, months * MONTH_SECONDS, filled]
  })
}

/** @throws NodeError `vesting-plan` saying which part is wrong, and by how much */
export function assertVestingPlan({ start, allocations }: VestingPlan): void {
  if (start <= 0n || start > START_MAX)
    throw refuse(`its start is ${start}; seconds since 1970 are wanted, ${START_MAX} at most`)
  if (allocations.length > ALLOCATIONS_MAX)
    throw refuse(`${allocations.length} allocations, ${ALLOCATIONS_MAX} at most`)
  allocations.forEach(({ beneficiary, wei }, i) => {
    if (BigInt(beneficiary) === 0n) throw refuse(`allocation ${i + 1} is for the zero address`)
    if (wei < ALLOCATION_WEI_MIN)
      throw refuse(`allocation ${i + 1} is ${formatEther(wei)} OPEN; 1 OPEN is the least`)
  })
  for (const part of PARTS) {
    const given = allocations
      .filter((one) => one.part === part)
      .reduce((sum, { wei }) => sum + wei, 0n)
    const wanted = partWei(part)
    if (given === wanted) continue
    const off =
      given < wanted ? `${wanted - given} wei too little` : `${given - wanted} wei too much`
    throw refuse(
      `${part} is given ${formatEther(given)} OPEN and the schedule says ${formatEther(wanted)}: ${off}`,
    )
  }
}

/** `rollup.json` names a wallet by its part and number: `investorsVesting2`. */
export function walletNames(allocations: readonly VestedAllocation[]): Record<string, Hex> {
  const count: Partial<Record<Part, number>> = {}
  const names: Record<string, Hex> = {}
  for (const { part, wallet } of allocations) {
    if (!wallet) continue
    const number = (count[part] ?? 0) + 1
    count[part] = number
    names[`${part}Vesting${number}`] = wallet
  }
  return names
}

/** The wallets among a chain configuration's L1 contracts, in their order. */
export function vestingWallets(
  l1Contracts: Readonly<Record<string, Hex>>,
): { part: Part; wallet: Hex }[] {
  return Object.entries(l1Contracts).flatMap(([name, wallet]) => {
    const part = /^([a-z]+)Vesting\d+$/.exec(name)?.[1]
    return PARTS.filter((known) => known === part).map((known) => ({ part: known, wallet }))
  })
}

function refuse(what: string): Error {
  return userError('vesting-plan', `the vesting plan cannot be: ${what}`)
}
