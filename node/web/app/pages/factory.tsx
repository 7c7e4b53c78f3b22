/** /factory: trainings: those that run and ran, chosen ones compared. */
import { useState } from 'preact/hooks'
import { JobProgress, JobState, LossChart } from '../components/jobs.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Age, Amount } from '../components/value.tsx'
import { useCall, useQuery, useSubscription } from '../lib/hooks.ts'
import type { Job, JobSummary } from '../lib/job.ts'
import { setQuery, usePlace } from '../lib/router.ts'
import { call } from '../lib/rpc.ts'

const JOBS_LISTED = 50
const COMPARED_MAX = 6

export default function Factory() {
  const list = useCall<JobSummary[]>('openledger_listJobs', [JOBS_LISTED], 5_000)
  const [pushed, setPushed] = useState<ReadonlyMap<string, JobSummary>>(new Map())
  useSubscription<JobSummary>('openledger_subscribe', ['jobs'], (job) =>
    setPushed((old) => new Map(old).set(job.id, job)),
  )
  const place = usePlace()
  const compared = (place.query.get('compare') ?? '').split(',').filter(Boolean)
  const toggle = (id: string): void => {
    const next = compared.includes(id) ? compared.filter((one) => one !== id) : [...compared, id]
    setQuery('compare', next.length > 0 ? next.slice(-COMPARED_MAX).join(',') : null)
  }
  return (
    <Page
      title="ModelFactory"
      lead="Train a model on Datanets without a line of code. Its manifest stands on chain before it starts, so anybody can train it again and get the same bytes."
      actions={
        <a class="button primary" href="/factory/new">
          Train a model
        </a>
      }
    >
      {compared.length > 0 ? <Compared ids={compared} /> : null}
      <Card title="Trainings" more="tick some to compare their curves" flush>
        <Show
          of={list}
          rows={4}
          what="trainings"
          empty={
            <Empty title="Nothing was trained yet" icon="models">
              <a href="/factory/new">Train the first model.</a>
            </Empty>
          }
        >
          {(rows) => (
            <Table
              caption="Trainings, newest first"
              rows={rows.map((row) => pushed.get(row.id) ?? row)}
              rowKey={({ id }) => id}
              columns={[
                { head: 'Model', cell: ({ id, name }) => <a href={`/job/${id}`}>{name}</a> },
                { head: 'State', cell: ({ state }) => <JobState state={state} /> },
                { head: 'Progress', narrow: false, cell: (job) => <JobProgress job={job} /> },
                { head: 'Fee', align: 'right', cell: ({ fee }) => <Amount wei={fee} /> },
                {
                  head: 'Begun',
                  cell: ({ createdAt }) => <Age at={Math.floor(Date.parse(createdAt) / 1000)} />,
                },
                {
                  head: 'Compare',
                  align: 'right',
                  cell: ({ id, name }) => (
                    <input
                      type="checkbox"
                      aria-label={`Compare ${name}`}
                      checked={compared.includes(id)}
                      onChange={() => toggle(id)}
                    />
                  ),
                },
              ]}
            />
          )}
        </Show>
      </Card>
    </Page>
  )
}

function Compared({ ids }: { ids: readonly string[] }) {
  const jobs = useQuery(
    `compare ${ids}`,
    async () =>
      (await Promise.all(ids.map((id) => call<Job | null>('openledger_getJob', id)))).filter(
        (job) => job !== null,
      ),
    2_000,
  )
  const loss = ({ points }: Job): string => points.at(-1)?.[1].toFixed(3) ?? '–'
  return (
    <Card title="Compared" more="mean loss per token, nats">
      <Show of={jobs} rows={6} what="curves" empty={<Empty title="No such trainings here" />}>
        {(list) => (
          <div class="stack">
            <LossChart jobs={list} />
            <Table
              caption="Runs compared"
              rows={list}
              rowKey={({ id }) => id}
              columns={[
                {
                  head: 'Model',
                  cell: ({ id, name }) => <a href={`/job/${id}`}>{`${name} ${id.slice(2, 6)}`}</a>,
                },
                { head: 'Rank', align: 'right', cell: ({ manifest }) => manifest.lora.rank },
                {
                  head: 'Epochs',
                  align: 'right',
                  cell: ({ manifest }) => manifest.training.epochs,
                },
                {
                  head: 'Learning rate',
                  align: 'right',
                  cell: ({ manifest }) => manifest.training.learningRate,
                },
                { head: 'Last loss', align: 'right', cell: loss },
                {
                  head: 'Held-out loss',
                  align: 'right',
                  cell: ({ result }) => result?.evaluation?.loss.toFixed(3) ?? '–',
                },
              ]}
            />
          </div>
        )}
      </Show>
    </Card>
  )
}
