/** Proposals: their state in a badge, their votes in a bar, and all of them in a table. */
import { ShareBar } from '../chart/bars.tsx'
import { open } from '../lib/format.ts'
import { type Proposal, type ProposalState, type Tally, tallyOf } from '../lib/governance.ts'
import { useQuery } from '../lib/hooks.ts'
import { Table } from './table.tsx'
import { Address, Age, Badge, type Tone } from './value.tsx'

const TONES: Readonly<Record<ProposalState, Tone>> = {
  pending: 'neutral',
  active: 'accent',
  canceled: 'neutral',
  defeated: 'bad',
  succeeded: 'good',
  queued: 'warn',
  expired: 'neutral',
  executed: 'good',
}

export function StateBadge({ state }: { state: ProposalState }) {
  return <Badge tone={TONES[state]}>{state}</Badge>
}

/** The first line of the description. */
export const titleOf = ({ description }: Proposal): string =>
  description.split('\n')[0]?.replace(/^#+\s*/, '') || 'Without a title'

export const useTally = (proposal: Proposal) =>
  useQuery<Tally>(`tally ${proposal.id}`, () => tallyOf(proposal), 'block')

export function VoteBar({ tally }: { tally: Tally }) {
  return (
    <ShareBar
      label="Votes"
      parts={[
        { label: 'For', value: Number(tally.for), text: open(tally.for) },
        { label: 'Against', value: Number(tally.against), text: open(tally.against) },
        { label: 'Abstain', value: Number(tally.abstain), text: open(tally.abstain) },
      ]}
    />
  )
}

function LiveState({ proposal }: { proposal: Proposal }) {
  const { data } = useTally(proposal)
  return data ? <StateBadge state={data.state} /> : null
}

function LiveVotes({ proposal }: { proposal: Proposal }) {
  const { data } = useTally(proposal)
  return (
    <span class="num">{data ? `${open(data.for)} for, ${open(data.against)} against` : '…'}</span>
  )
}

export function ProposalTable({ rows }: { rows: readonly Proposal[] }) {
  return (
    <Table
      caption="Proposals, newest first"
      rows={rows}
      rowKey={({ id }) => String(id)}
      columns={[
        { head: 'Proposal', cell: (one) => <a href={`/proposal/${one.id}`}>{titleOf(one)}</a> },
        { head: 'State', cell: (one) => <LiveState proposal={one} /> },
        { head: 'Votes', cell: (one) => <LiveVotes proposal={one} /> },
        { head: 'Vote ends', cell: ({ voteEnd }) => <Age at={voteEnd} /> },
        { head: 'By', narrow: false, cell: ({ proposer }) => <Address value={proposer} /> },
      ]}
    />
  )
}
