/** `openledger job …`: training jobs of a node, over JSON-RPC. Whoever owns a job signs for it with a key of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { JobRegistry } from '../../genesis/contracts.generated.ts'
import { signHash } from '../../node/attribution/receipt.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { ACTIONS, type Action, controlHash } from '../../node/factory/control.ts'
import type { ChainPart } from '../../node/factory/cost.ts'
import type { JobRequest, VersionChoice } from '../../node/factory/draft.ts'
import type { Estimate } from '../../node/factory/estimate.ts'
import type { JobView } from '../../node/factory/view.ts'
import type { Call, Command, FlagSpec } from '../cli/command.ts'
import { type JobDraft, termsOf } from '../cli/draft.ts'
import { count, quantity, wei } from '../cli/flags.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, walletFor } from '../cli/person.ts'
import { Meter } from '../cli/progress.ts'
import { show } from '../cli/result.ts'
import { rpcTo } from '../cli/rpc.ts'

const JOBS = { address: OPENLEDGER.jobRegistry as Hex, abi: JobRegistry.abi as Abi }
const POLL_MS = 1_000
const DRAFT_TIMEOUT_MS = 300_000

const LISTED_MAX = 100

const REQUEST: Record<string, FlagSpec> = {
  name: { value: 'NAME', help: 'of the model to be' },
  datanets: { value: 'ID[:VERSION],…', help: 'what it is trained on' },
  parents: { value: 'MODEL,…', help: 'one model to go on from, or several to merge' },
  evaluate: { value: 'ID[:VERSION],…', help: 'Datanets that only measure it' },
  rank: { value: 'N', help: 'of the adapter' },
  epochs: { value: 'N', help: 'times through the rows' },
  batch: { value: 'N', help: 'rows of a step' },
  'learning-rate': { value: 'X', help: 'at its peak' },
  seed: { value: 'N', help: 'of everything random' },
}

const estimate: Command = {
  name: 'job estimate',
  summary: 'Says what a training would take and cost',
  flags: { ...REQUEST, ...NODE_FLAGS },
  run: async (call) => {
    const { estimate: found } = await draft(call)
    show(call, found, estimateLines(found))
    return undefined
  },
}

const submit: Command = {
  name: 'job submit',
  summary: 'Commits a training with its fee, and follows it',
  flags: {
    ...REQUEST,
    fee: { value: 'WEI', help: "instead of the node's price" },
    detach: { help: 'do not follow it' },
    ...KEY_FLAGS,
  },
  run: async (call) => {
    const { wallet } = await walletFor(call)
    const drafted = await draft(call)
    const value = call.flags.fee ? wei(call.flags, 'fee') : BigInt(drafted.estimate.fee)
    const args = [termsOf(drafted)]
    const sent = await wallet.send({ ...JOBS, functionName: 'submit', args, value })
    // What is paid for must not be lost to a timeout: the node reads all rows first.
    const rpc = rpcTo(call.flags.url as string, DRAFT_TIMEOUT_MS)
    const id = await rpc<Hex>('openledger_submitJob', drafted.manifest)
    if (call.switches.has('detach')) show(call, { id, transaction: sent.transactionHash }, [id])
    else await follow(call, id)
    return undefined
  },
}

const list: Command = {
  name: 'job list',
  summary: 'Lists jobs, newest first',
  flags: { limit: { value: 'N', help: 'at most', fallback: '20' }, ...NODE_FLAGS },
  run: async (call) => {
    const limit = count(call.flags, 'limit', LISTED_MAX)
    const jobs = await nodeOf(call).rpc<JobLine[]>('openledger_listJobs', limit)
    show(call, jobs, jobs.length > 0 ? jobs.map(lineOf) : ['no jobs'])
    return undefined
  },
}

const showOne: Command = {
  name: 'job show',
  summary: 'Shows a job with its losses, checkpoints and result',
  args: '<id>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const job = await jobOf(call)
    show(call, job, linesOf(job))
    return undefined
  },
}

const watch: Command = {
  name: 'job watch',
  summary: 'Follows a job until it ends',
  args: '<id>',
  flags: NODE_FLAGS,
  run: async (call) => {
    await follow(call, (await jobOf(call)).id)
    return undefined
  },
}

const SUMMARIES: Readonly<Record<Action, string>> = {
  pause: 'Pauses a job at its next step',
  resume: 'Resumes a paused job',
  cancel: 'Cancels a job; the fee goes back but for steps that were shown',
}

const controls: readonly Command[] = ACTIONS.map((action, index) => ({
  name: `job ${action}`,
  summary: SUMMARIES[action],
  args: '<id>',
  flags: KEY_FLAGS,
  run: async (call: Call) => {
    const { wallet, rpc, key, chainId } = await walletFor(call)
    const id = (await jobOf(call)).id
    const there = { ...JOBS, functionName: 'getJob', args: [id] }
    const { controls: nonce } = await wallet.read<{ controls: bigint }>(there)
    const domain = { chainId, verifyingContract: JOBS.address }
    const signature = signHash(controlHash({ jobId: id, action: index, nonce }, domain), key)
    const job = await rpc<JobView>(`openledger_${action}Job`, id, signature)
    show(call, job, [lineOf(job)])
    return undefined
  },
}))

export const jobCommands: readonly Command[] = [estimate, submit, list, showOne, watch, ...controls]

function draft({ flags }: Call): Promise<JobDraft> {
  const given = (flag: string): number | undefined =>
    flags[flag] === undefined ? undefined : quantity(flags, flag)
  const request: JobRequest = {
    name: flags.name ?? 'model',
    datanets: choices(flags, 'datanets'),
    parents: (flags.parents ?? '')
      .split(',')
      .filter(Boolean)
      .map((model) => ({ model: model as Hex })),
    evaluation: { datanets: choices(flags, 'evaluate') },
    lora: { rank: given('rank') },
    training: {
      epochs: given('epochs'),
      batch: given('batch'),
      learningRate: given('learning-rate'),
    },
    seed: given('seed'),
  }
  return rpcTo(flags.url as string, DRAFT_TIMEOUT_MS)<JobDraft>('openledger_draftJob', request)
}

function choices(flags: Call['flags'], name: string): VersionChoice[] {
  return (flags[name] ?? '')
    .split(',')
    .filter(Boolean)
    .map((part) => {
      const [, datanet, version] = part.match(/^(\d+)(?::(\d+))?$/) ?? []
      if (datanet) return { datanet, ...(version && { version: Number(version) }) }
      throw userError('usage', `--${name} has '${part}'; it must be ID or ID:VERSION`)
    })
}

/** Shows progress until the job ends. @throws NodeError `job-failed` */
async function follow(call: Call, id: Hex): Promise<void> {
  const meter = new Meter(`job ${id.slice(0, 10)}…`)
  const { rpc } = nodeOf(call)
  for (;;) {
    const job = await rpc<JobView>('openledger_getJob', id)
    if (['done', 'failed', 'cancelled'].includes(job.state)) {
      meter.end()
      show(call, job, linesOf(job))
      if (job.state !== 'done')
        throw userError('job-failed', `job ${id} ${job.state}: ${job.error?.message ?? ''}`)
      return
    }
    const { progress } = job
    const part = progress && progress.steps > 0 ? progress.step / progress.steps : undefined
    meter.update(noteOf(job), part)
    await sleep(POLL_MS)
  }
}

function noteOf({ state, progress, etaSeconds }: JobView): string {
  if (!progress) return state
  const eta = etaSeconds === null ? '' : `, ${etaSeconds} s to go`
  if (progress.phase !== 'train') return `${progress.phase}: ${progress.stage}`
  const { loss, gradNorm } = progress
  return `loss ${loss.toFixed(3)}, gradient ${gradNorm.toFixed(2)}${eta}`
}

type JobLine = Pick<JobView, 'id' | 'state' | 'name' | 'error'>

function lineOf({ id, state, name, error }: JobLine): string {
  return `${id}  ${state.padEnd(9)}  ${name}${error ? `  (${error.message})` : ''}`
}

function linesOf(job: JobView): string[] {
  const { points, checkpoints, result } = job
  const [first, last] = [points[0], points.at(-1)]
  const evaluation = result?.evaluation
  return [
    lineOf(job),
    first && last
      ? `loss        ${first[1].toFixed(4)} to ${last[1].toFixed(4)} in ${last[0]} steps`
      : '',
    evaluation
      ? `sealed      ${evaluation.baseLoss.toFixed(4)} to ${evaluation.loss.toFixed(4)} on ${evaluation.rows} rows, ${evaluation.contaminated} contaminated left out`
      : '',
    ...checkpoints.slice(-1).map(({ step, root }) => `checkpoint  step ${step}, ${root}`),
    job.modelId ? `model       ${job.modelId}` : '',
  ].filter(Boolean)
}

function estimateLines(estimate: Estimate): string[] {
  const { seconds, cpuSeconds, steps, trainTokens, indexTokens, evaluationTokens } = estimate
  const { memoryBytes, fee, chain } = estimate
  const s = (value: number): string => `${value.toFixed(1)} s`
  const part = ({ transactions, gas, wei: most }: ChainPart): string =>
    `at most ${gas} gas in ${transactions} transactions, ${most} wei`
  return [
    `time        ${s(seconds.total)} as this machine is now, ${s(cpuSeconds)} of processor`,
    `  training    ${s(seconds.train)}: ${steps} steps, ${trainTokens} tokens`,
    `  evaluation  ${s(seconds.evaluate)}: ${evaluationTokens} tokens`,
    `  index       ${s(seconds.index)}: ${indexTokens} tokens`,
    `  rows        ${s(seconds.prepare)}`,
    `memory      ${memoryBytes === null ? 'not measured' : `${Math.ceil(memoryBytes / 1e6)} MB of the node`}`,
    `fee         ${fee} wei`,
    chain
      ? `your gas    ${part(chain.submit)}`
      : 'your gas    unknown: the registry refuses such a job of the node itself',
    chain ? `node's gas  ${part(chain.register)}` : '',
  ].filter(Boolean)
}

async function jobOf(call: Call): Promise<JobView> {
  const [id = ''] = call.args
  const job = await nodeOf(call).rpc<JobView | null>('openledger_getJob', id)
  if (!job) throw userError('job-unknown', `no job ${id} is known there`)
  return job
}
