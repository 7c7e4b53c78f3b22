/** /proposal/:id: what it would do, how the vote stands, and the next step: vote, queue, execute. */
import { DecodedView } from '../components/decoded.tsx'
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { StateBadge, titleOf, useTally, VoteBar } from '../components/proposals.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Address, Age, Amount, Hash } from '../components/value.tsx'
import { decodeInput } from '../lib/decode.ts'
import { dateTime, duration, percent } from '../lib/format.ts'
import {
  GOVERNOR,
  hasVoted,
  listProposals,
  type Proposal,
  type Tally,
  termsOf,
} from '../lib/governance.ts'
import { useNow, useQuery } from '../lib/hooks.ts'
import type { PageProps } from '../routes.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

export default function ProposalPage({ params }: PageProps) {
  const found = useQuery(`proposal ${params.id}`, async () => {
    const all = await listProposals()
    return all.find(({ id }) => String(id) === params.id) ?? null
  })
  return (
    <Page
      title={found.data ? titleOf(found.data) : 'Proposal'}
      crumb={{ href: '/governance', text: 'Governance' }}
    >
      <Show
        of={found}
        rows={6}
        what="proposal"
        empty={<Empty title="There is no such proposal" icon="vote" />}
      >
        {(proposal) => <Details proposal={proposal} />}
      </Show>
    </Page>
  )
}

function Details({ proposal }: { proposal: Proposal }) {
  const tally = useTally(proposal)
  const rest = proposal.description.split('\n').slice(1).join('\n').trim()
  return (
    <>
      <div class="columns">
        <Card title="Votes" more={tally.data ? <StateBadge state={tally.data.state} /> : null}>
          <Show of={tally} rows={3} what="votes">
            {(data) => <Standing tally={data} />}
          </Show>
        </Card>
        <Card title="What to do">
          {tally.data ? (
            <NextStep proposal={proposal} tally={tally.data} reload={tally.reload} />
          ) : null}
        </Card>
      </div>
      <Card>
        {rest ? <p class="wrap">{rest}</p> : null}
        <Facts>
          <Fact label="Proposed by">
            <Address value={proposal.proposer} /> in <Hash value={proposal.transaction} kind="tx" />
          </Fact>
          <Fact label="Vote">
            {dateTime(proposal.voteStart)} to {dateTime(proposal.voteEnd)} (ends{' '}
            <Age at={proposal.voteEnd} />)
          </Fact>
        </Facts>
      </Card>
      <Card title="It would call">
        <div class="stack">
          {proposal.targets.map((target, i) => {
            const data = proposal.calldatas[i] ?? '0x'
            const decoded = decodeInput(target, data)
            return (
              <div key={`${target}${data}`}>
                <p>
                  <Address value={target.toLowerCase()} /> with{' '}
                  <Amount wei={proposal.values[i] ?? 0n} />
                </p>
                {decoded ? <DecodedView of={decoded} /> : <code class="bytes">{data}</code>}
              </div>
            )
          })}
        </div>
      </Card>
    </>
  )
}

function Standing({ tally }: { tally: Tally }) {
  const counted = tally.for + tally.abstain
  return (
    <>
      <VoteBar tally={tally} />
      <p class="hint">
        {tally.quorum === null ? (
          'The quorum is known when voting begins.'
        ) : (
          <>
            Quorum: <Amount wei={counted} /> of <Amount wei={tally.quorum} /> (
            {tally.quorum === 0n
              ? percent(1)
              : percent(Number((counted * 10_000n) / tally.quorum) / 10_000)}
            )
          </>
        )}
      </p>
    </>
  )
}

const CHOICES = [
  { support: 1, text: 'For' },
  { support: 0, text: 'Against' },
  { support: 2, text: 'Abstain' },
] as const

function NextStep({
  proposal,
  tally,
  reload,
}: {
  proposal: Proposal
  tally: Tally
  reload: () => void
}) {
  const wallet = useWallet()
  const now = useNow()
  const voted = useQuery(
    wallet ? `voted ${proposal.id} ${wallet.address} ${tally.state}` : null,
    async () => (wallet ? hasVoted(proposal.id, wallet.address) : false),
    'block',
  )
  switch (tally.state) {
    case 'pending':
      return <p>Voting begins in {duration(proposal.voteStart * 1000 - now)}.</p>
    case 'active':
      if (!wallet) return <NeedsWallet to="vote" />
      if (voted.data) return <Notice tone="good">You have voted.</Notice>
      return (
        <div class="stack">
          <p class="hint">Your votes are those you had when voting began.</p>
          <div class="button-row">
            {CHOICES.map(({ support, text }) => (
              <TransactionButton
                key={text}
                primary={support === 1}
                call={() => ({
                  ...GOVERNOR,
                  functionName: 'castVote',
                  args: [proposal.id, support],
                })}
                onDone={() => {
                  reload()
                  voted.reload()
                }}
              >
                {text}
              </TransactionButton>
            ))}
          </div>
        </div>
      )
    case 'succeeded':
      return (
        <TransactionButton
          call={() => ({ ...GOVERNOR, functionName: 'queue', args: termsOf(proposal) })}
          onDone={reload}
        >
          Queue
        </TransactionButton>
      )
    case 'queued': {
      const left = tally.eta * 1000 - now
      return (
        <div class="stack">
          <p>
            {left > 0
              ? `It may be executed in ${duration(left)}: time to leave for those who disagree.`
              : 'The exit window is over.'}
          </p>
          <TransactionButton
            disabled={left > 0}
            call={() => ({ ...GOVERNOR, functionName: 'execute', args: termsOf(proposal) })}
            onDone={reload}
          >
            Execute
          </TransactionButton>
        </div>
      )
    }
    case 'executed':
      return <Notice tone="good">It was carried out.</Notice>
    case 'defeated':
      return <Notice>It was voted down, or too few voted.</Notice>
    case 'canceled':
    case 'expired':
      return <Notice>Nothing comes of it any more.</Notice>
  }
}
