/** /agent/:id: one agent: running it and what its runs did, its account, what others say of it. */
import { AccountTab } from '../components/agent-account.tsx'
import { ActionsTab } from '../components/agent-actions.tsx'
import { AmountField, useAmount } from '../components/amount-field.tsx'
import { Card, Fact, Facts, Page, Stat, Stats, Tabs } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Address, Amount } from '../components/value.tsx'
import { type Agent, BONDS, nameOfAgent, readAgent, readStanding } from '../lib/agent.ts'
import { exactOpen, integer } from '../lib/format.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import type { Hex } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

export default function AgentPage({ params }: PageProps) {
  const { id = '' } = params
  const valid = /^\d{1,15}$/.test(id)
  const agent = useQuery(valid ? `agent ${id}` : null, () => readAgent(BigInt(id)), 'block')
  const nobody = (
    <Page title={`Agent ${id}`} crumb={{ href: '/agents', text: 'Agents' }}>
      <Empty title="Nobody has registered that agent" icon="agents">
        Ids are whole numbers from 1.
      </Empty>
    </Page>
  )
  if (!valid || agent.data === null) return nobody
  return (
    <Page
      title={agent.data ? nameOfAgent(agent.data) : `Agent ${id}`}
      lead={typeof agent.data?.card?.description === 'string' ? agent.data.card.description : ''}
      crumb={{ href: '/agents', text: 'Agents' }}
    >
      <Show of={agent} rows={8} what="agent">
        {(data) => <Known agent={data} />}
      </Show>
    </Page>
  )
}

function Known({ agent }: { agent: Agent }) {
  const { id, card, owner, wallet, model } = agent
  const program = card?.openledger
  return (
    <>
      {card === null ? (
        <Notice>
          Its registration file is not on chain, and pages fetch nothing that strangers name:{' '}
          <span class="mono wrap">{agent.uri || 'none is named'}</span>
        </Notice>
      ) : null}
      <Card>
        <Facts>
          <Fact label="Id">
            <span class="num">#{String(id)}</span>
          </Fact>
          <Fact label="Owner">
            <Address value={owner} copy />
          </Fact>
          <Fact label="Paid to">
            {wallet ? <Address value={wallet} copy /> : 'nobody, until the owner names a wallet'}
          </Fact>
          <Fact label="Model">
            {model ? (
              <a href={`/model/${model}`}>{program?.model ?? 'its model'}</a>
            ) : (
              (program?.model ?? 'none')
            )}
          </Fact>
          {program ? (
            <>
              <Fact label="Prompt">{program.prompt || <span class="muted">none</span>}</Fact>
              <Fact label="Steps">
                {(program.steps ?? []).map(({ tool }) => TOOLS[tool] ?? tool).join(', then ')}
              </Fact>
              <Fact label="Limits of a run">
                {integer(program.policy?.maxTokens ?? 64)} tokens,{' '}
                {program.policy?.feeMax ? (
                  <>
                    <Amount wei={program.policy.feeMax} /> in fees
                  </>
                ) : (
                  'no limit on fees'
                )}
              </Fact>
            </>
          ) : null}
        </Facts>
      </Card>
      <Tabs
        label="Agent"
        tabs={[
          { id: 'actions', label: 'Actions', content: () => <ActionsTab agent={agent} /> },
          { id: 'account', label: 'Account', content: () => <AccountTab agent={agent} /> },
          { id: 'standing', label: 'Standing', content: () => <StandingTab agent={agent} /> },
        ]}
      />
    </>
  )
}

const TOOLS: Readonly<Record<string, string>> = {
  model: 'ask the model',
  search_datanets: 'search the Datanets',
  agent: 'call another agent',
}

function StandingTab({ agent }: { agent: Agent }) {
  const standing = useQuery(`standing ${agent.id}`, () => readStanding(agent.id), 'block')
  return (
    <Show of={standing} rows={3} what="standing">
      {({ feedback, validations, bonded, leaving }) => (
        <>
          <Stats>
            <Stat label="Feedback" note={`from ${integer(feedback.count)} opinions`}>
              {feedback.count === 0 ? '–' : String(feedback.value)}
            </Stat>
            <Stat label="Validations" note={`${integer(validations.count)} answered`}>
              {validations.count === 0 ? '–' : `${validations.average} of 100`}
            </Stat>
            <Stat
              label="Bond"
              note={leaving > 0n ? `${exactOpen(leaving)} OPEN leaving` : 'slashed for lies'}
            >
              <Amount wei={bonded} />
            </Stat>
          </Stats>
          <Bond agent={agent} onDone={standing.reload} />
        </>
      )}
    </Show>
  )
}

function Bond({ agent, onDone }: { agent: Agent; onDone: () => void }) {
  const wallet = useWallet()
  const balance = useCall<Hex>(
    'eth_getBalance',
    wallet ? [wallet.address, 'latest'] : null,
    'block',
  )
  const amount = useAmount(balance.data === undefined ? undefined : BigInt(balance.data))
  return (
    <Card title="Stand behind it" more="the bond goes with the agent when it is sold">
      {wallet ? (
        <div class="form">
          <AmountField label="Amount to bond" amount={amount} where="here" />
          <TransactionButton
            disabled={!amount.valid}
            call={() => ({
              ...BONDS,
              functionName: 'bond',
              args: [agent.id],
              value: amount.checked(),
            })}
            onDone={() => {
              amount.setText('')
              onDone()
            }}
          >
            Bond
          </TransactionButton>
        </div>
      ) : (
        <NeedsWallet to="bond OPEN to this agent" />
      )}
    </Card>
  )
}
