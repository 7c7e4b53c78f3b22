/** Running an agent, what each run did step by step, and the receipts that its accounts have paid. */
import { useEffect, useState } from 'preact/hooks'
import type { Agent } from '../lib/agent.ts'
import { readAccount, receiptsPaidBy } from '../lib/agent-account.ts'
import { linksHold, type Run, runAgent, runsOf } from '../lib/agent-run.ts'
import { counted, integer, messageOf } from '../lib/format.ts'
import { useQuery } from '../lib/hooks.ts'
import { TextArea } from './field.tsx'
import { Card } from './layout.tsx'
import { Empty, Notice, Show } from './state.tsx'
import { Table } from './table.tsx'
import { Age, Amount, Badge, Hash } from './value.tsx'

const QUESTION_CHARACTERS_MAX = 8_000
const RECEIPTS_SHOWN = 50

export function ActionsTab({ agent }: { agent: Agent }) {
  const [runs, setRuns] = useState<readonly Run[]>(() => runsOf(agent.id))
  // Another tab may have run it too.
  useEffect(() => {
    const again = (): void => setRuns(runsOf(agent.id))
    addEventListener('storage', again)
    return () => removeEventListener('storage', again)
  }, [agent.id])
  return (
    <div class="stack">
      {agent.card?.openledger ? (
        <Ask agent={agent} onRun={setRuns} />
      ) : (
        <Card>
          <Empty title="Nodes do not run this agent" icon="agents">
            Its registration file has no field <code>openledger</code>; it runs where its owner runs
            it.
          </Empty>
        </Card>
      )}
      {runs.map((run) => (
        <RunCard key={`${run.at}${run.actions.at(-1)?.hash}`} run={run} />
      ))}
      <Paid agent={agent} />
    </div>
  )
}

function Ask({ agent, onRun }: { agent: Agent; onRun: (runs: readonly Run[]) => void }) {
  const [text, setText] = useState('')
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [wrong, setWrong] = useState<string | null>(null)
  const run = async (): Promise<void> => {
    if (text.trim() === '') return setWrong('Say what the agent is to do.')
    setBusy(true)
    setProblem(null)
    try {
      onRun(await runAgent(agent.id, text.trim()))
      setText('')
    } catch (error) {
      setProblem(messageOf(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title="Run it" more="by this node, which answers for your machine free within its quota">
      <div class="form">
        <TextArea
          label="What is it to do?"
          value={text}
          onValue={(value) => {
            setText(value)
            setWrong(null)
          }}
          error={wrong}
          rows={2}
          maxLength={QUESTION_CHARACTERS_MAX}
        />
        <div class="action">
          <button
            type="button"
            class="button primary"
            disabled={busy}
            aria-busy={busy}
            onClick={run}
          >
            {busy ? <span class="spinner" aria-hidden="true" /> : null}
            {busy ? 'Working…' : 'Run'}
          </button>
          {problem ? <Notice tone="bad">{problem}</Notice> : null}
        </div>
      </div>
    </Card>
  )
}

function RunCard({ run }: { run: Run }) {
  return (
    <Card title={run.question} more={<Age at={run.at} />}>
      <div class="stack">
        <p class="wrap">{run.text}</p>
        <p class="small">
          {linksHold(run) ? (
            <Badge tone="good">chain of actions holds</Badge>
          ) : (
            <Badge tone="bad">chain of actions is broken</Badge>
          )}{' '}
          {counted(run.actions.length, 'action')}, <Amount wei={run.fee} /> in fees
        </p>
        <Table
          caption="Actions of this run, in order"
          rows={run.actions}
          rowKey={({ hash }) => hash}
          columns={[
            { head: 'Step', cell: ({ step, tool }) => `${step + 1}. ${tool.replaceAll('_', ' ')}` },
            { head: 'Action', cell: ({ hash }) => <Hash value={hash} kind="plain" copy /> },
            {
              head: 'After',
              narrow: false,
              cell: ({ parent }) =>
                BigInt(parent) === 0n ? (
                  <span class="muted">the first</span>
                ) : (
                  <Hash value={parent} kind="plain" />
                ),
            },
            {
              head: 'Receipts',
              cell: ({ receipts }) =>
                receipts.length === 0 ? (
                  <span class="muted">free</span>
                ) : (
                  <span class="ref-list">
                    {receipts.map((one) => (
                      <Hash key={one} value={one} kind="receipt" />
                    ))}
                  </span>
                ),
            },
          ]}
        />
      </div>
    </Card>
  )
}

function Paid({ agent }: { agent: Agent }) {
  const { id, owner, wallet } = agent
  const paid = useQuery(
    `paid by agent ${id} ${owner} ${wallet}`,
    async () => {
      const { address } = await readAccount(owner, id)
      return receiptsPaidBy(wallet && wallet !== owner ? [address, wallet] : [address])
    },
    'block',
  )
  return (
    <Card title="Paid by its own accounts" more={paid.data ? integer(paid.data.length) : ''} flush>
      <Show
        of={paid}
        rows={2}
        what="receipts"
        empty={
          <Empty title="Its accounts have paid for nothing yet">
            Runs by this node’s quota are paid by the node’s sponsor; their receipts are above.
          </Empty>
        }
      >
        {(hashes) => (
          <Table
            caption="Receipts, newest first"
            rows={hashes.slice(0, RECEIPTS_SHOWN)}
            rowKey={(hash) => hash}
            columns={[
              { head: 'Receipt', cell: (hash) => <Hash value={hash} kind="receipt" /> },
              {
                head: 'Who was paid',
                cell: (hash) => <a href={`/trace/${hash}`}>follow its wei</a>,
              },
            ]}
          />
        )}
      </Show>
    </Card>
  )
}
