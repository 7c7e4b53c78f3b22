/** /job/:id: one training, live. */

import type { Action } from '../../../factory/control.ts'
import { JobProgress, JobState, LossChart } from '../components/jobs.tsx'
import { Card, Fact, Facts, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Address, Amount, Hash } from '../components/value.tsx'
import { dateTime, duration, integer } from '../lib/format.ts'
import { control, isOver, type Job, useJob } from '../lib/job.ts'
import type { Hex } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'
import { ActionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

export default function JobPage({ params }: PageProps) {
  const id = (params.id ?? '') as Hex
  const valid = /^0x[0-9a-f]{64}$/.test(id)
  const job = useJob(valid ? id : null)
  return (
    <Page
      title={job.data?.name ?? 'Training'}
      lead={<span class="mono wrap">{id}</span>}
      crumb={{ href: '/factory', text: 'ModelFactory' }}
      actions={job.data ? <Controls job={job.data} onDone={job.reload} /> : undefined}
    >
      {valid ? (
        <Show of={job} rows={8} what="training" empty={<Empty title="No such training here" />}>
          {(data) => <Details job={data} />}
        </Show>
      ) : (
        <Empty title="That is no training's id">0x and 64 digits.</Empty>
      )}
    </Page>
  )
}

function Controls({ job, onDone }: { job: Job; onDone: () => void }) {
  const wallet = useWallet()
  if (isOver(job) || wallet?.address !== job.owner.toLowerCase()) return null
  const button = (action: Action, text: string) => (
    <ActionButton
      primary={action === 'resume'}
      run={async (stage) => {
        stage('Waiting for the signature…')
        await control(job.id, action)
        onDone()
      }}
    >
      {text}
    </ActionButton>
  )
  return (
    <>
      {job.state === 'paused' ? button('resume', 'Resume') : button('pause', 'Pause')}
      {button('cancel', 'Cancel')}
    </>
  )
}

function Details({ job }: { job: Job }) {
  const { manifest, points, result, estimate, modelId, error } = job
  const evaluation = result?.evaluation
  const first = points[0]?.[1]
  const last = points.at(-1)?.[1]
  return (
    <>
      {error ? (
        <Notice tone="bad">
          It failed: {error.message} ({error.code})
        </Notice>
      ) : null}
      {modelId ? (
        <Notice tone="good">
          The model is registered. <a href={`/model/${modelId}`}>Its card</a>,{' '}
          <a href={`/playground?models=${encodeURIComponent(job.name)}`}>ask it</a>.
        </Notice>
      ) : null}
      <Stats>
        <Stat label="State">
          <JobState state={job.state} />
        </Stat>
        <Stat label="Loss" note={first === undefined ? undefined : `from ${first.toFixed(3)}`}>
          {last?.toFixed(3) ?? '–'}
        </Stat>
        <Stat
          label="Held-out loss"
          note={
            evaluation
              ? `the base has ${evaluation.baseLoss.toFixed(3)}`
              : isOver(job)
                ? 'no rows were held out'
                : 'measured at the end'
          }
        >
          {evaluation?.loss.toFixed(3) ?? '–'}
        </Stat>
        <Stat
          label="Time"
          note={estimate ? `estimated ${duration(estimate.seconds.total * 1000)}` : undefined}
        >
          {timeOf(job)}
        </Stat>
      </Stats>
      <JobProgress job={job} />
      <Card title="Loss" more="mean per token, nats">
        <LossChart jobs={[job]} />
      </Card>
      <Card title="Manifest" more="decides every byte of the model">
        <Facts>
          <Fact label="Owner">
            <Address value={job.owner} />
          </Fact>
          <Fact label="Fee">
            <Amount wei={job.fee} />
          </Fact>
          <Fact label="Datanets">
            {manifest.datanets.map(({ datanet, version }) => (
              <a key={`${datanet} ${version}`} href={`/datanet/${datanet}?version=${version}`}>
                Datanet {datanet}, version {version}{' '}
              </a>
            ))}
          </Fact>
          <Fact label="Adapter">
            rank {manifest.lora.rank}, alpha {manifest.lora.alpha}, on{' '}
            {manifest.lora.targets.join(', ')}
          </Fact>
          <Fact label="Training">
            {manifest.training.epochs} epochs, batches of {manifest.training.batch}, learning rate{' '}
            {manifest.training.learningRate}, {integer(manifest.training.maxTokens)} tokens of a row
          </Fact>
          <Fact label="Attribution">
            {manifest.attribution.k} directions, {manifest.attribution.top} contributors paid by a
            receipt, quotes from {manifest.attribution.spanTokens} tokens
          </Fact>
          <Fact label="Begun">{dateTime(Math.floor(Date.parse(job.createdAt) / 1000))}</Fact>
          {job.checkpoints.slice(-1).map(({ step, root }) => (
            <Fact key={step} label="Last checkpoint">
              step {step}, <Hash value={root} kind="plain" copy />
            </Fact>
          ))}
        </Facts>
      </Card>
    </>
  )
}

function timeOf({ startedAt, finishedAt }: Job): string {
  if (!startedAt) return '–'
  return duration((finishedAt ? Date.parse(finishedAt) : Date.now()) - Date.parse(startedAt))
}
