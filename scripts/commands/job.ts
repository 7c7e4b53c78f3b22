/** `openledger job …`: training jobs of a node, over JSON-RPC. Whoever owns a job signs for it with a key of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Abi, createPublicClient, createWalletClient, defineChain, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { JobRegistry } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { ACTIONS, type Action, controlHash } from '../../node/factory/control.ts'
import type { VersionChoice } from '../../node/factory/draft.ts'
import type { JobView } from '../../node/factory/view.ts'
import type { Call, Command, FlagSpec } from '../cli/command.ts'
import { Meter } from '../cli/progress.ts'
import { type Rpc, rpcTo } from '../cli/rpc.ts'

const POLL_MS = 1_000
const DRAFT_TIMEOUT_MS = 300_000

const RPC: Record<string, FlagSpec> = {
  rpc: { value: 'URL', help: 'a node that trains', fallback: 'http://127.0.0.1:8545' },
  json: { help: 'print JSON' },
}
const KEY: Record<string, FlagSpec> = {
  'key-env': {
    value: 'NAME',
    help: "environment variable with the owner's private key",
    fallback: 'OPENLEDGER_KEY',
  },
}
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

type Draft = {
  readonly manifest: object
  readonly terms: {
    readonly manifest: Record<string, unknown> & {
      readonly datanetIds: readonly string[]
      readonly evaluationIds: readonly string[]
    }
    readonly deadline: string
  }
  readonly estimate: NonNullable<JobView['estimate']>
}

const estimate: Command = {
  name: 'job estimate',
  summary: 'Says what a training would take and cost',
  flags: { ...REQUEST, ...RPC },
  run: async (call) => {
    const { estimate: found } = await draft(call)
    print(call, found, estimateText(found))
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
    ...KEY,
    ...RPC,
  },
  run: async (call) => {
    const rpc = rpcOf(call)
    const key = keyOf(call)
    const { manifest, terms, estimate: found } = await draft(call)
    const chainId = Number(await rpc<Hex>('eth_chainId'))
    const transport = http(call.flags.rpc)
    const chain = defineChain({
      id: chainId,
      name: 'OpenLedger',
      nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
      rpcUrls: { default: { http: [call.flags.rpc as string] } },
    })
    const reader = createPublicClient({ chain, transport })
    const account = privateKeyToAccount(key)
    const { request } = await reader.simulateContract({
      account,
      address: OPENLEDGER.jobRegistry,
      abi: JobRegistry.abi as Abi,
      functionName: 'submit',
      args: [revived(terms)],
      value: BigInt(call.flags.fee ?? found.fee),
    })
    const hash = await createWalletClient({ account, chain, transport }).writeContract(request)
    const { status } = await reader.waitForTransactionReceipt({ hash })
    if (status !== 'success') throw userError('reverted', `JobRegistry.submit reverted in ${hash}`)
    const id = await rpc<Hex>('openledger_submitJob', manifest)
    if (call.switches.has('detach')) print(call, { id, transaction: hash }, id)
    else await follow(call, id)
    return undefined
  },
}

const list: Command = {
  name: 'job list',
  summary: 'Lists jobs, newest first',
  flags: { limit: { value: 'N', help: 'at most', fallback: '20' }, ...RPC },
  run: async (call) => {
    const jobs = await rpcOf(call)<JobView[]>('openledger_listJobs', Number(call.flags.limit))
    print(call, jobs, jobs.map(lineOf).join('\n') || 'no jobs')
    return undefined
  },
}

const show: Command = {
  name: 'job show',
  summary: 'Shows a job with its losses, checkpoints and result',
  args: '<id>',
  flags: RPC,
  run: async (call) => {
    const job = await jobOf(call)
    print(call, job, textOf(job))
    return undefined
  },
}

const watch: Command = {
  name: 'job watch',
  summary: 'Follows a job until it ends',
  args: '<id>',
  flags: RPC,
  run: async (call) => {
    await follow(call, (await jobOf(call)).id as Hex)
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
  flags: { ...KEY, ...RPC },
  run: async (call: Call) => {
    const rpc = rpcOf(call)
    const { id } = await jobOf(call)
    const nonce = await controlsOf(call.flags.rpc as string, id as Hex)
    const domain = {
      chainId: Number(await rpc<Hex>('eth_chainId')),
      verifyingContract: OPENLEDGER.jobRegistry,
    }
    const hash = controlHash({ jobId: id as Hex, action: index, nonce }, domain)
    const signature = await privateKeyToAccount(keyOf(call)).sign({ hash })
    const job = await rpc<JobView>(`openledger_${action}Job`, id, signature)
    print(call, job, lineOf(job))
    return undefined
  },
}))

export const jobCommands: readonly Command[] = [estimate, submit, list, show, watch, ...controls]

async function draft(call: Call): Promise<Draft> {
  const { flags } = call
  const numbers = (names: Record<string, string>): object =>
    Object.fromEntries(
      Object.entries(names).flatMap(([field, flag]) =>
        flags[flag] === undefined ? [] : [[field, numberOf(flag, flags[flag] as string)]],
      ),
    )
  const request = {
    name: flags.name ?? 'model',
    datanets: choices(flags.datanets),
    parents: (flags.parents ?? '')
      .split(',')
      .filter(Boolean)
      .map((model) => ({ model })),
    evaluation: { datanets: choices(flags.evaluate) },
    lora: numbers({ rank: 'rank' }),
    training: numbers({ epochs: 'epochs', batch: 'batch', learningRate: 'learning-rate' }),
    ...numbers({ seed: 'seed' }),
  }
  return rpcTo(flags.rpc as string, DRAFT_TIMEOUT_MS)<Draft>('openledger_draftJob', request)
}

function choices(text = ''): VersionChoice[] {
  return text
    .split(',')
    .filter(Boolean)
    .map((part) => {
      const [datanet = '', version] = part.split(':')
      return { datanet, ...(version && { version: numberOf('datanets', version) }) }
    })
}

/** Shows progress until the job ends. @throws NodeError `job-failed` */
async function follow(call: Call, id: Hex): Promise<void> {
  const meter = new Meter(`job ${id.slice(0, 10)}…`)
  for (;;) {
    const job = await rpcOf(call)<JobView>('openledger_getJob', id)
    if (['done', 'failed', 'cancelled'].includes(job.state)) {
      meter.end()
      print(call, job, textOf(job))
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

function lineOf({
  id,
  state,
  name,
  error,
}: Pick<JobView, 'id' | 'state' | 'name' | 'error'>): string {
  return `${id}  ${state.padEnd(9)}  ${name}${error ? `  (${error.message})` : ''}`
}

function textOf(job: JobView): string {
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
  ]
    .filter(Boolean)
    .join('\n')
}

function estimateText({
  seconds,
  steps,
  trainTokens,
  indexTokens,
  fee,
}: Draft['estimate']): string {
  const s = (value: number): string => `${value.toFixed(1)} s`
  return `${s(seconds.total)}: training ${s(seconds.train)} (${steps} steps, ${trainTokens} tokens), index ${s(seconds.index)} (${indexTokens} tokens), evaluation ${s(seconds.evaluate)}; fee ${fee} wei`
}

function print({ switches }: Call, value: unknown, text: string): void {
  process.stdout.write(`${switches.has('json') ? JSON.stringify(value, null, 2) : text}\n`)
}

async function jobOf(call: Call): Promise<JobView> {
  const [id = ''] = call.args
  const job = await rpcOf(call)<JobView | null>('openledger_getJob', id)
  if (!job) throw userError('job-unknown', `no job ${id} is known there`)
  return job
}

async function controlsOf(url: string, id: Hex): Promise<bigint> {
  const job = (await createPublicClient({ transport: http(url) }).readContract({
    address: OPENLEDGER.jobRegistry,
    abi: JobRegistry.abi as Abi,
    functionName: 'getJob',
    args: [id],
  })) as { controls: bigint }
  return job.controls
}

function revived({ manifest, deadline, ...terms }: Draft['terms']): object {
  const datanetIds = manifest.datanetIds.map(BigInt)
  const evaluationIds = manifest.evaluationIds.map(BigInt)
  return {
    ...terms,
    deadline: BigInt(deadline),
    manifest: { ...manifest, datanetIds, evaluationIds },
  }
}

function keyOf({ flags }: Call): Hex {
  const name = flags['key-env'] as string
  const key = process.env[name] ?? ''
  if (/^0x[0-9a-fA-F]{64}$/.test(key)) return key as Hex
  throw userError('usage', `put the owner's private key, 32 bytes of 0x hex, into $${name}`)
}

function numberOf(flag: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw userError('usage', `--${flag} is '${text}', not a number`)
}

function rpcOf({ flags }: Call): Rpc {
  return rpcTo(flags.rpc as string)
}
