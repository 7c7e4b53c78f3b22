/** /governance: who decides: proposals, one's own votes and their delegate, a new proposal, how much circulates. */
import { lazy, Suspense } from 'preact/compat'
import { useState } from 'preact/hooks'
import { AmountField, useAmount } from '../components/amount-field.tsx'
import { SelectField, TextArea, TextField } from '../components/field.tsx'
import { Card, Fact, Facts, Page, Stat, Stats, Tabs } from '../components/layout.tsx'
import { ProposalTable } from '../components/proposals.tsx'
import { Empty, Loading, Notice, Show } from '../components/state.tsx'
import { Address, Amount } from '../components/value.tsx'
import { compact, duration, exactOpen, parseOpen, percent } from '../lib/format.ts'
import {
  ACTIONS,
  type ActionId,
  GOVERNOR,
  listProposals,
  proposalOf,
  type Rules,
  readRules,
  readSupply,
  readVoter,
  type Supply as SupplyView,
  VOTES,
} from '../lib/governance.ts'
import { type Loaded, useCall, useQuery } from '../lib/hooks.ts'
import type { Hex } from '../lib/types.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

const LineChart = lazy(() => import('../chart/line-chart.tsx'))
const NOBODY = '0x0000000000000000000000000000000000000000'

export default function Governance() {
  const rules = useQuery('governance rules', readRules, 'block')
  const data = rules.data
  return (
    <Page
      title="Governance"
      lead="Holders decide: a proposal, a vote by OPEN as it was when voting began, then a window long enough to leave before anything changes."
    >
      <Stats>
        <Stat label="Circulating" note="OPEN">
          {data ? (
            <span title={`${exactOpen(data.circulating)} OPEN`}>
              {compact(Number(data.circulating / 10n ** 18n))}
            </span>
          ) : (
            '–'
          )}
        </Stat>
        <Stat label="Wrapped to vote">
          {data ? <Amount wei={data.wrapped} unit="gOPEN" /> : '–'}
        </Stat>
        <Stat label="Quorum" note="of what circulates">
          {data ? `${data.quorumPercent} %` : '–'}
        </Stat>
        <Stat label="Votes to propose">{data ? <Amount wei={data.proposalThreshold} /> : '–'}</Stat>
        <Stat
          label="Vote lasts"
          note={data ? `after ${duration(Number(data.votingDelay) * 1000)}` : ''}
        >
          {data ? duration(Number(data.votingPeriod) * 1000) : '–'}
        </Stat>
      </Stats>
      <Tabs
        label="Governance"
        tabs={[
          { id: 'proposals', label: 'Proposals', content: () => <Proposals /> },
          { id: 'votes', label: 'Your votes', content: () => <YourVotes /> },
          { id: 'new', label: 'New proposal', content: () => <NewProposal rules={rules} /> },
          { id: 'supply', label: 'Supply', content: () => <Supply /> },
        ]}
      />
    </Page>
  )
}

function Proposals() {
  const list = useQuery('proposals', listProposals, 'block')
  return (
    <Card flush>
      <Show
        of={list}
        rows={4}
        what="proposals"
        empty={
          <Empty title="Nothing has been proposed" icon="vote">
            <a href="/governance?tab=new">Make the first proposal</a>
          </Empty>
        }
      >
        {(rows) => <ProposalTable rows={rows} />}
      </Show>
    </Card>
  )
}

function YourVotes() {
  const wallet = useWallet()
  return wallet ? (
    <Voting account={wallet.address} />
  ) : (
    <Card>
      <NeedsWallet to="wrap OPEN and delegate votes" />
    </Card>
  )
}

function Voting({ account }: { account: Hex }) {
  const voter = useQuery(`voter ${account}`, () => readVoter(account), 'block')
  const balance = useCall<Hex>('eth_getBalance', [account, 'latest'], 'block')
  const wrap = useAmount(balance.data === undefined ? undefined : BigInt(balance.data))
  const unwrap = useAmount(voter.data?.balance)
  const [to, setTo] = useState('')
  const data = voter.data
  const toProblem =
    to === '' || /^0x[0-9a-fA-F]{40}$/.test(to)
      ? null
      : 'An address is 0x and 40 hexadecimal digits.'
  return (
    <div class="stack">
      <Stats>
        <Stat label="Your gOPEN">{data ? <Amount wei={data.balance} unit="gOPEN" /> : '–'}</Stat>
        <Stat label="Your votes" note="yours and those delegated to you">
          {data ? <Amount wei={data.votes} unit="votes" /> : '–'}
        </Stat>
        <Stat label="Delegated to">
          {data ? (
            data.delegate === NOBODY ? (
              'nobody'
            ) : data.delegate === account ? (
              'yourself'
            ) : (
              <Address value={data.delegate} />
            )
          ) : (
            '–'
          )}
        </Stat>
      </Stats>
      {data && data.balance > 0n && data.delegate === NOBODY ? (
        <Notice tone="warn">
          Your gOPEN does not vote yet: delegate it, to yourself or to another.
        </Notice>
      ) : null}
      <div class="columns">
        <Card title="Delegate">
          <div class="form">
            <TextField
              label="To"
              value={to}
              onValue={setTo}
              error={toProblem}
              placeholder={account}
              hint="Yourself unless you name another. Your tokens stay yours."
            />
            <TransactionButton
              disabled={toProblem !== null}
              call={() => ({ ...VOTES, functionName: 'delegate', args: [to || account] })}
              onDone={voter.reload}
            >
              Delegate
            </TransactionButton>
          </div>
        </Card>
        <Card title="Wrap OPEN">
          <div class="form">
            <AmountField label="Amount to wrap" amount={wrap} where="here" />
            <TransactionButton
              disabled={!wrap.valid}
              call={() => ({ ...VOTES, functionName: 'deposit', value: wrap.checked() })}
              onDone={() => {
                wrap.setText('')
                voter.reload()
              }}
            >
              Wrap
            </TransactionButton>
          </div>
        </Card>
        <Card title="Unwrap">
          <div class="form">
            <AmountField label="Amount to unwrap" amount={unwrap} where="wrapped" />
            <TransactionButton
              primary={false}
              disabled={!unwrap.valid}
              call={() => ({ ...VOTES, functionName: 'withdraw', args: [unwrap.checked()] })}
              onDone={() => {
                unwrap.setText('')
                voter.reload()
              }}
            >
              Unwrap
            </TransactionButton>
          </div>
        </Card>
      </div>
    </div>
  )
}

function NewProposal({ rules }: { rules: Loaded<Rules> }) {
  const wallet = useWallet()
  const [action, setAction] = useState<ActionId>('setVotingPeriod')
  const [value, setValue] = useState('')
  const [title, setTitle] = useState('')
  const [why, setWhy] = useState('')
  if (!wallet) {
    return (
      <Card>
        <NeedsWallet to="propose" />
      </Card>
    )
  }
  const { unit } = ACTIONS.find(({ id }) => id === action) as (typeof ACTIONS)[number]
  const amount = unit === 'OPEN' ? parseOpen(value) : /^\d{1,9}$/.test(value) ? BigInt(value) : null
  const problem =
    value === ''
      ? null
      : amount === null
        ? `'${value}' is no number of ${unit}.`
        : unit === 'per cent' && amount > 100n
          ? 'At most 100 per cent.'
          : null
  const current = rules.data && currentOf(action, rules.data)
  return (
    <Card title="New proposal">
      <div class="form">
        <SelectField
          label="What changes"
          value={action}
          onValue={(id) => setAction(id as ActionId)}
          options={ACTIONS.map(({ id, text }) => ({ value: id, text }))}
        />
        <TextField
          label="To"
          value={value}
          onValue={setValue}
          suffix={unit}
          inputMode="decimal"
          error={problem}
          hint={current ? `Now ${current}.` : undefined}
        />
        <TextField label="Title" value={title} onValue={setTitle} maxLength={120} />
        <TextArea label="Why" value={why} onValue={setWhy} maxLength={4_000} />
        <TransactionButton
          disabled={amount === null || problem !== null || title.trim() === ''}
          call={() => {
            if (amount === null) throw new Error(`Type a number of ${unit}.`)
            const description = why.trim() ? `${title.trim()}\n\n${why.trim()}` : title.trim()
            return {
              ...GOVERNOR,
              functionName: 'propose',
              args: proposalOf(action, amount, description),
            }
          }}
          onDone={() => {
            setTitle('')
            setWhy('')
            setValue('')
          }}
        >
          Propose
        </TransactionButton>
      </div>
    </Card>
  )
}

function currentOf(action: ActionId, rules: Rules): string {
  switch (action) {
    case 'setVotingPeriod':
      return `${rules.votingPeriod} seconds`
    case 'setVotingDelay':
      return `${rules.votingDelay} seconds`
    case 'updateQuorumNumerator':
      return `${rules.quorumPercent} per cent`
    case 'setProposalThreshold':
      return `${exactOpen(rules.proposalThreshold)} OPEN`
  }
}

/** Fixed parts of the supply (OpenSupply.sol). */
const ALLOCATION = [
  { name: 'Community and ecosystem', part: 0.6171, how: 'linear over 48 months' },
  { name: 'Investors', part: 0.1829, how: 'nothing for 12 months, then linear over 36' },
  { name: 'Team', part: 0.15, how: 'nothing for 12 months, then linear over 36' },
  { name: 'Liquidity', part: 0.05, how: 'at once' },
] as const

const SUPPLY_PARTS = [
  ['total', 'There is'],
  ['circulating', 'Circulating'],
  ['locked', 'Not vested yet'],
  ['vested', 'Vested'],
  ['staked', 'Staked or unbonding'],
  ['bridged', 'On this chain'],
] as const

function Supply() {
  const curve = useQuery('supply', () => readSupply(Date.now() / 1000))
  const supply = useCall<SupplyView>('openledger_supply', [], 'block')
  return (
    <div class="columns">
      <Card title="What it is doing" more="after the newest block">
        <Show of={supply} rows={6} what="supply">
          {(now) => (
            <Facts>
              {SUPPLY_PARTS.map(([key, label]) => (
                <Fact key={key} label={label}>
                  <Amount wei={now[key]} />
                </Fact>
              ))}
            </Facts>
          )}
        </Show>
      </Card>
      <Card title="In circulation" more="OPEN, by OpenSupply">
        <Show of={curve} rows={6} what="supply">
          {({ start, times, circulating }) => (
            <>
              {start === 0 ? (
                <Notice>Nothing of this chain’s token vests: all of it circulates.</Notice>
              ) : null}
              <Suspense fallback={<Loading rows={6} what="chart" />}>
                <LineChart
                  label="OPEN in circulation over five years"
                  time
                  x={times}
                  series={[{ label: 'Circulating', values: circulating }]}
                  format={compact}
                />
              </Suspense>
            </>
          )}
        </Show>
      </Card>
      <Card title="Allocation" more="1,000,000,000 OPEN">
        <ul class="stack small">
          {ALLOCATION.map(({ name, part, how }) => (
            <li key={name}>
              <strong>{percent(part, 2)}</strong> {name} <span class="muted">{how}</span>
            </li>
          ))}
        </ul>
      </Card>
    </div>
  )
}
