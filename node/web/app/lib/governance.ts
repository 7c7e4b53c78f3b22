/** Proposals and votes, as the contracts have them. Times in seconds, votes in wei of gOPEN. */
import {
  decodeEventLog,
  encodeEventTopics,
  encodeFunctionData,
  keccak256,
  stringToBytes,
} from 'viem'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { GovernedOPEN, OpenGovernor, OpenSupply } from '../../../../genesis/contracts.generated.ts'
import { readContract } from '../wallet/send.ts'
import { LOG_BLOCKS, newestLogs } from './logs.ts'
import { call } from './rpc.ts'
import type { Hex } from './types.ts'

export const GOVERNOR = { address: OPENLEDGER.openGovernor, abi: OpenGovernor.abi } as const
export const VOTES = { address: OPENLEDGER.governedOpen, abi: GovernedOPEN.abi } as const
const SUPPLY = { address: OPENLEDGER.openSupply, abi: OpenSupply.abi } as const

/** In the order of IGovernor.ProposalState. */
export const STATES = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const
export type ProposalState = (typeof STATES)[number]

export type Proposal = {
  readonly id: bigint
  readonly proposer: Hex
  readonly targets: readonly Hex[]
  readonly values: readonly bigint[]
  readonly calldatas: readonly Hex[]
  readonly voteStart: number
  readonly voteEnd: number
  readonly description: string
  readonly block: number
  readonly transaction: Hex
}

export type Tally = {
  readonly state: ProposalState
  readonly against: bigint
  readonly for: bigint
  readonly abstain: bigint
  /** Votes for and abstaining that it needs; null before voting began. */
  readonly quorum: bigint | null
  /** When a queued one may be executed; 0 before. */
  readonly eta: number
}

/** Ranges of `LOG_BLOCKS` looked at, newest first. */
const RANGES_MAX = 20
const CREATED = encodeEventTopics({ abi: OpenGovernor.abi, eventName: 'ProposalCreated' })[0] as Hex

/** Newest first. */
export async function listProposals(): Promise<Proposal[]> {
  const head = Number(await call<string>('eth_blockNumber'))
  const found: Proposal[] = []
  for (let i = 0, top = head; i < RANGES_MAX && top >= 0; i++, top -= LOG_BLOCKS) {
    const logs = await newestLogs({ address: GOVERNOR.address, topics: [CREATED] }, top)
    for (const { topics, data, blockNumber, transactionHash } of logs) {
      const { args } = decodeEventLog({
        abi: OpenGovernor.abi,
        eventName: 'ProposalCreated',
        topics: topics as [Hex, ...Hex[]],
        data,
      })
      found.push({
        ...args,
        id: args.proposalId,
        proposer: args.proposer.toLowerCase() as Hex,
        voteStart: Number(args.voteStart),
        voteEnd: Number(args.voteEnd),
        block: Number(blockNumber),
        transaction: transactionHash,
      })
    }
  }
  return found
}

export async function tallyOf({ id, voteStart }: Proposal): Promise<Tally> {
  const read = <T>(functionName: string, ...args: unknown[]): Promise<T> =>
    readContract<T>({ ...GOVERNOR, functionName, args })
  const [state, [against, pro, abstain], eta, quorum] = await Promise.all([
    read<number>('state', id),
    read<readonly [bigint, bigint, bigint]>('proposalVotes', id),
    read<bigint>('proposalEta', id),
    // Of a moment that has not come there is none.
    read<bigint>('quorum', BigInt(voteStart)).catch(() => null),
  ])
  return { state: STATES[state] ?? 'pending', against, for: pro, abstain, quorum, eta: Number(eta) }
}

export type Rules = {
  /** Seconds. */
  readonly votingDelay: bigint
  readonly votingPeriod: bigint
  /** wei of votes. */
  readonly proposalThreshold: bigint
  /** Per cent of what circulates. */
  readonly quorumPercent: bigint
  /** wei of gOPEN. */
  readonly wrapped: bigint
  readonly circulating: bigint
}

/** `openledger_supply`: wei, as decimal strings. */
export type Supply = Readonly<
  Record<'total' | 'circulating' | 'locked' | 'vested' | 'staked' | 'bridged', string>
>

export async function readRules(): Promise<Rules> {
  const governor = (functionName: string): Promise<bigint> =>
    readContract({ ...GOVERNOR, functionName })
  const [votingDelay, votingPeriod, proposalThreshold, quorumPercent, wrapped, supply] =
    await Promise.all([
      governor('votingDelay'),
      governor('votingPeriod'),
      governor('proposalThreshold'),
      readContract<bigint>({ ...GOVERNOR, functionName: 'quorumNumerator', args: [] }),
      readContract<bigint>({ ...VOTES, functionName: 'totalSupply' }),
      call<Supply>('openledger_supply'),
    ])
  return {
    votingDelay: BigInt(votingDelay),
    votingPeriod: BigInt(votingPeriod),
    proposalThreshold,
    quorumPercent,
    wrapped,
    circulating: BigInt(supply.circulating),
  }
}

export type Voter = {
  /** wei of gOPEN. */
  readonly balance: bigint
  readonly votes: bigint
  readonly delegate: Hex
}

export async function readVoter(account: Hex): Promise<Voter> {
  const read = <T>(functionName: string): Promise<T> =>
    readContract<T>({ ...VOTES, functionName, args: [account] })
  const [balance, votes, delegate] = await Promise.all([
    read<bigint>('balanceOf'),
    read<bigint>('getVotes'),
    read<Hex>('delegates'),
  ])
  return { balance, votes, delegate: delegate.toLowerCase() as Hex }
}

export const hasVoted = (id: bigint, account: Hex): Promise<boolean> =>
  readContract({ ...GOVERNOR, functionName: 'hasVoted', args: [id, account] })

export type SupplyCurve = {
  /** Seconds; 0: nothing vests. */
  readonly start: number
  readonly times: readonly number[]
  /** Whole OPEN. */
  readonly circulating: readonly number[]
}

const YEARS = 5
const POINTS = 41
const YEAR_SECONDS = 365 * 86_400

/** What circulates from the beginning of vesting, or from now, over five years. */
export async function readSupply(nowSeconds: number): Promise<SupplyCurve> {
  const start = Number(await readContract<bigint>({ ...SUPPLY, functionName: 'vestingStart' }))
  const from = start === 0 ? Math.floor(nowSeconds) : start
  const times = Array.from({ length: POINTS }, (_, i) =>
    Math.round(from + (i * YEARS * YEAR_SECONDS) / (POINTS - 1)),
  )
  const amounts = await Promise.all(
    times.map((time) =>
      readContract<bigint>({ ...SUPPLY, functionName: 'circulatingAt', args: [BigInt(time)] }),
    ),
  )
  return { start, times, circulating: amounts.map((amount) => Number(amount / 10n ** 18n)) }
}

/** What a proposal may change by this page; each is one call. */
export const ACTIONS = [
  { id: 'setVotingPeriod', text: 'Length of votes', unit: 'seconds' },
  { id: 'setVotingDelay', text: 'Delay before votes', unit: 'seconds' },
  { id: 'updateQuorumNumerator', text: 'Quorum', unit: 'per cent' },
  { id: 'setProposalThreshold', text: 'Votes to propose', unit: 'OPEN' },
] as const
export type ActionId = (typeof ACTIONS)[number]['id']

/** The arguments of `propose`: one call of the governor itself. */
export function proposalOf(
  action: ActionId,
  value: bigint,
  description: string,
): readonly unknown[] {
  const data = encodeFunctionData({
    abi: OpenGovernor.abi,
    functionName: action,
    args: [value],
  } as never)
  return [[GOVERNOR.address], [0n], [data], description]
}

/** The arguments of `queue`, `execute` and `cancel`. */
export const termsOf = ({
  targets,
  values,
  calldatas,
  description,
}: Proposal): readonly unknown[] => [
  targets,
  values,
  calldatas,
  keccak256(stringToBytes(description)),
]
