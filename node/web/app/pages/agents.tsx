/** /agents: programs with an identity of their own: who they are, what they run on, what others say of them. */
import { useState } from 'preact/hooks'
import { TextField } from '../components/field.tsx'
import { Card, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Badge } from '../components/value.tsx'
import { findAgents, nameOfAgent, newestAgents } from '../lib/agent.ts'
import { integer } from '../lib/format.ts'
import { useQuery } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'

const LISTED = 100

export default function Agents() {
  const [limit, setLimit] = useState(LISTED)
  const list = useQuery(`agents ${limit}`, () => newestAgents(limit), 'block')
  const words = usePlace().query.get('find') ?? ''
  const { agents, count } = list.data ?? { agents: [], count: 0 }
  const found = findAgents(agents, words)
  return (
    <Page
      title="Agents"
      lead="An agent is a program that works on its own: a model, a prompt, steps, and money it may spend within limits that the chain keeps. It has an identity (ERC-8004) that can be sold, and a record that cannot."
      actions={
        <a class="button primary" href="/agents/new">
          Register an agent
        </a>
      }
    >
      <Stats>
        <Stat label="Agents">{list.data ? integer(count) : '–'}</Stat>
        <Stat label="Run by nodes" note="of those listed">
          {list.data ? integer(agents.filter(({ card }) => card?.openledger).length) : '–'}
        </Stat>
      </Stats>
      <Card>
        <TextField
          label="Find"
          value={words}
          onValue={(value) => setQuery('find', value || null)}
          placeholder="name, model, owner or #id"
        />
      </Card>
      <Card flush>
        <Show of={list} rows={4} what="agents">
          {() =>
            found.length === 0 ? (
              <Empty
                title={count === 0 ? 'No agent yet' : `No agent has '${words}' in it`}
                icon="agents"
              >
                {count === 0 ? <a href="/agents/new">Register the first.</a> : null}
              </Empty>
            ) : (
              <Table
                caption="Agents, newest first"
                rows={found}
                rowKey={({ id }) => String(id)}
                columns={[
                  {
                    head: 'Name',
                    cell: (agent) => <a href={`/agent/${agent.id}`}>{nameOfAgent(agent)}</a>,
                  },
                  { head: 'Id', align: 'right', narrow: false, cell: ({ id }) => `#${id}` },
                  {
                    head: 'What it does',
                    narrow: false,
                    cell: ({ card }) => cut(card?.description),
                  },
                  {
                    head: 'Model',
                    cell: ({ card, model }) =>
                      model ? (
                        <a href={`/model/${model}`}>{card?.openledger?.model ?? 'its model'}</a>
                      ) : (
                        (card?.openledger?.model ?? <span class="muted">none</span>)
                      ),
                  },
                  { head: 'Owner', cell: ({ owner }) => <Address value={owner} /> },
                  {
                    head: 'Runs',
                    cell: ({ card }) =>
                      card?.openledger ? <Badge tone="good">here</Badge> : <Badge>elsewhere</Badge>,
                  },
                ]}
              />
            )
          }
        </Show>
      </Card>
      {count > limit ? (
        <button type="button" class="button quiet" onClick={() => setLimit(limit + LISTED)}>
          Older agents
        </button>
      ) : null}
    </Page>
  )
}

const DESCRIPTION_SHOWN = 80

function cut(text: unknown): string {
  if (typeof text !== 'string') return ''
  return text.length > DESCRIPTION_SHOWN ? `${text.slice(0, DESCRIPTION_SHOWN)}…` : text
}
