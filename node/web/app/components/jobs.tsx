/** Jobs: their state, their curves, what can be done to them. */
import { lazy, Suspense } from 'preact/compat'
import { integer } from '../lib/format.ts'
import type { Job, JobSummary } from '../lib/job.ts'
import { Progress } from './layout.tsx'
import { Loading } from './state.tsx'
import { Badge, type Tone } from './value.tsx'

const LineChart = lazy(() => import('../chart/line-chart.tsx'))

const TONES: Readonly<Record<JobSummary['state'], Tone>> = {
  queued: 'neutral',
  running: 'accent',
  paused: 'warn',
  done: 'good',
  failed: 'bad',
  cancelled: 'neutral',
}

export const JobState = ({ state }: Pick<JobSummary, 'state'>) => (
  <Badge tone={TONES[state]}>{state}</Badge>
)

export function JobProgress({ job }: { job: JobSummary }) {
  const { progress, etaSeconds, state } = job
  if (state !== 'running' && state !== 'paused') return null
  const part = progress && progress.steps > 0 ? progress.step / progress.steps : null
  const what = !progress
    ? 'Starting'
    : progress.phase === 'train'
      ? `Step ${integer(progress.step)} of ${integer(progress.steps)}, loss ${progress.loss.toFixed(3)}, ${integer(Math.round(progress.tokensPerSecond))} tokens/s`
      : `${{ index: 'Attribution index', evaluate: 'Evaluation', register: 'Registering' }[progress.phase]}: ${progress.stage}`
  return (
    <div class="job-progress">
      <Progress part={state === 'paused' ? (part ?? 0) : part} label={what} />
      <p class="small muted num" role="status">
        {what}
        {etaSeconds === null ? '' : `, ${integer(Math.ceil(etaSeconds))} s to go`}
      </p>
    </div>
  )
}

/** Losses of one or more runs by step. */
export function LossChart({ jobs }: { jobs: readonly Job[] }) {
  const steps = [...new Set(jobs.flatMap(({ points }) => points.map(([step]) => step)))].sort(
    (a, b) => a - b,
  )
  if (steps.length === 0) return <p class="muted">The first step is not done yet.</p>
  const series = jobs.map(({ name, id, points }) => {
    const losses = new Map(points.map(([step, loss]) => [step, loss]))
    return {
      label: jobs.length > 1 ? `${name} ${id.slice(2, 6)}` : 'loss',
      values: steps.map((step) => losses.get(step) ?? null),
    }
  })
  return (
    <Suspense fallback={<Loading rows={6} what="curve" />}>
      <LineChart
        label="Mean loss per token by step, in nats"
        x={steps}
        xLabel="Step"
        series={series}
        format={(value) => value.toFixed(3)}
      />
    </Suspense>
  )
}
