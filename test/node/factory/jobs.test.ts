import t from 'tap'
import { ZERO_HASH } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { JOBS_WAITING_MAX, JobQueue, type JobRunner } from '../../../node/factory/jobs.ts'
import {
  DEFAULT_TRAINING,
  manifestHash,
  type TrainingManifest,
} from '../../../node/factory/manifest.ts'
import type { TrainingResult } from '../../../node/factory/train.ts'

const manifest = (seed: number): TrainingManifest => ({
  ...DEFAULT_TRAINING,
  seed,
  base: ZERO_HASH,
  kernelSet: 1,
  datanets: [{ datanet: '1', version: 1, rowsRoot: ZERO_HASH, manifestHash: ZERO_HASH }],
})

/** A runner whose runs end when they are told to. */
function aRunner() {
  const runs: { finish: (result: TrainingResult) => void; fail: (error: Error) => void }[] = []
  const run: JobRunner = (_manifest, _onProgress, signal) =>
    new Promise((resolve, reject) => {
      runs.push({ finish: resolve, fail: reject })
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
  return { runs, run }
}
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('jobs run one after another; the same manifest is the same job', async (t) => {
  const { runs, run } = aRunner()
  const queue = new JobQueue({ run, log: silentLog })
  const [first, second] = [queue.submit(manifest(1)), queue.submit(manifest(2))]
  t.equal(first, manifestHash(manifest(1)))
  t.equal(queue.submit(manifest(1)), first)
  t.same([queue.get(first)?.state.kind, queue.get(second)?.state.kind], ['running', 'queued'])
  runs[0]?.finish({ adapterHash: ZERO_HASH } as TrainingResult)
  await tick()
  t.same([queue.get(first)?.state.kind, queue.get(second)?.state.kind], ['done', 'running'])
  runs[1]?.fail(new Error('no such tensor'))
  await tick()
  t.match(queue.get(second)?.state, { kind: 'failed', error: 'no such tensor' })
  t.equal(queue.submit(manifest(2)), second, 'a failed job may be tried again')
  t.equal(queue.get(second)?.state.kind, 'running')
  await queue.stop()
})

t.test('waiting and running jobs can be cancelled, others not', async (t) => {
  const queue = new JobQueue({ run: aRunner().run, log: silentLog })
  const [running, waiting] = [queue.submit(manifest(1)), queue.submit(manifest(2))]
  queue.cancel(waiting)
  queue.cancel(running)
  await tick()
  t.same(
    [running, waiting].map((id) => queue.get(id)?.state.kind),
    ['cancelled', 'cancelled'],
  )
  t.throws(() => queue.cancel(running), { code: 'job-unknown' })
})

t.test('a full queue and a bad manifest are refused with the reason', async (t) => {
  const queue = new JobQueue({ run: aRunner().run, log: silentLog })
  for (let seed = 0; seed <= JOBS_WAITING_MAX; seed++) queue.submit(manifest(seed))
  t.throws(() => queue.submit(manifest(99)), { code: 'jobs-full' })
  const bad: [Partial<TrainingManifest>, RegExp][] = [
    [{ seed: -1 }, /field seed is -1; it must be an integer from 0/],
    [{ datanets: [] }, /field datanets is "\[\]"/],
    [{ lora: { ...DEFAULT_TRAINING.lora, rank: 0 } }, /field lora.rank is 0/],
    [{ attribution: { ...DEFAULT_TRAINING.attribution, damping: 0 } }, /attribution.damping is 0/],
  ]
  for (const [change, message] of bad) {
    t.throws(() => queue.submit({ ...manifest(1), ...change }), {
      code: 'training-manifest',
      message,
    })
  }
  t.equal(queue.list().length, JOBS_WAITING_MAX + 1)
  await queue.stop()
})
