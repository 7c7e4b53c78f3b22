/** Training jobs as `openledger_getJob` shows them, kept up to date by pushes, and what their owners do to them. */
import { useEffect, useState } from 'preact/hooks'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { type Loaded, useCall, useSubscription } from './hooks.ts'
import { call, connection } from './rpc.ts'
import type { Hex } from './types.ts'

export type Estimate = {
  readonly trainTokens: number
  readonly indexTokens: number
  readonly evaluationTokens: number
  readonly steps: number
  readonly seconds: Readonly<Record<'train' | 'index' | 'evaluate' | 'total', number>>
  readonly fee: string
}

type Ref = { readonly datanet: string; readonly version: number }

export type Manifest = {
  readonly name: string
  readonly base: Hex
  readonly datanets: readonly Ref[]
  readonly inherited: readonly Ref[]
  readonly parents: readonly { readonly model: Hex; readonly weight: number }[]
  readonly commercial: boolean
  readonly contributorsPart: number
  readonly lora: {
    readonly rank: number
    readonly alpha: number
    readonly targets: readonly string[]
  }
  readonly training: {
    readonly epochs: number
    readonly batch: number
    readonly learningRate: number
    readonly maxTokens: number
  }
  readonly attribution: { readonly k: number; readonly top: number; readonly spanTokens: number }
  readonly seed: number
}

export type JobSummary = {
  readonly id: Hex
  readonly name: string
  readonly state: 'queued' | 'running' | 'paused' | 'done' | 'failed' | 'cancelled'
  readonly owner: Hex
  readonly fee: string
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly progress:
    | ({ readonly step: number; readonly steps: number } & (
        | {
            readonly phase: 'train'
            readonly loss: number
            readonly gradNorm: number
            readonly tokensPerSecond: number
          }
        | { readonly phase: 'index' | 'evaluate' | 'register'; readonly stage: string }
      ))
    | null
  readonly etaSeconds: number | null
  readonly estimate: Estimate | null
  readonly modelId: Hex | null
  readonly error: { readonly code: string; readonly message: string } | null
}

export type Job = JobSummary & {
  /** [step, mean loss per token, gradient length] */
  readonly points: readonly (readonly [number, number, number])[]
  readonly checkpoints: readonly { readonly step: number; readonly root: Hex }[]
  readonly result: {
    readonly evaluation: {
      readonly baseLoss: number
      readonly loss: number
      readonly rows: number
      readonly contaminated: number
    } | null
    readonly contributors: readonly Hex[]
  } | null
  readonly manifest: Manifest
}

export const isOver = ({ state }: Pick<JobSummary, 'state'>): boolean =>
  state === 'done' || state === 'failed' || state === 'cancelled'

/** A job followed by push; read anew when pushes were lost. */
export function useJob(id: Hex | null): Loaded<Job | null> {
  const asked = useCall<Job | null>('openledger_getJob', id ? [id] : null, 10_000)
  const [pushed, push] = useState<Job | null>(null)
  useSubscription<Job>('openledger_subscribe', id ? ['jobs'] : null, (job) => {
    if (job.id === id) push(job)
  })
  const { reload } = asked
  useEffect(() => connection.on((state) => state === 'up' && reload()), [reload])
  const newest =
    pushed?.id === id && pushed && (asked.data?.points.length ?? 0) <= pushed.points.length
  // What was asked after the end is the last word.
  return newest && !(asked.data && isOver(asked.data)) ? { ...asked, data: pushed } : asked
}

const ACTIONS = ['pause', 'resume', 'cancel'] as const
export type Action = (typeof ACTIONS)[number]

/** Signed by the owner, sent by the node: it costs no gas. */
export async function control(id: Hex, action: Action): Promise<void> {
  const [{ JobRegistry }, { readContract, signTyped }, { chainConfig }] = await Promise.all([
    import('../../../../genesis/contracts.generated.ts'),
    import('../wallet/send.ts'),
    import('./chain-config.ts'),
  ])
  const address = OPENLEDGER.jobRegistry
  const { controls } = await readContract<{ controls: bigint }>({
    address,
    abi: JobRegistry.abi,
    functionName: 'getJob',
    args: [id],
  })
  const signature = await signTyped({
    domain: {
      name: 'OpenLedger',
      version: '1',
      chainId: (await chainConfig()).l2ChainId,
      verifyingContract: address,
    },
    types: {
      JobControl: [
        { name: 'jobId', type: 'bytes32' },
        { name: 'action', type: 'uint8' },
        { name: 'nonce', type: 'uint64' },
      ],
    },
    primaryType: 'JobControl',
    message: { jobId: id, action: ACTIONS.indexOf(action), nonce: controls },
  })
  await call(`openledger_${action}Job`, id, signature)
}

type Terms = {
  readonly deadline: string
  readonly manifest: {
    readonly datanetIds: readonly string[]
    readonly evaluationIds: readonly string[]
  }
}
export type Draft = {
  readonly manifest: Manifest
  readonly terms: Terms
  readonly estimate: Estimate
}

/** Pays the fee into JobRegistry and puts the job on the node's queue. Its id. */
export async function submit(
  { manifest, terms, estimate }: Draft,
  tell: (text: string) => void,
): Promise<Hex> {
  const [{ JobRegistry }, { waitFor, writeContract }] = await Promise.all([
    import('../../../../genesis/contracts.generated.ts'),
    import('../wallet/send.ts'),
  ])
  tell('Waiting for the signature…')
  const args = {
    ...terms,
    deadline: BigInt(terms.deadline),
    manifest: {
      ...terms.manifest,
      datanetIds: terms.manifest.datanetIds.map(BigInt),
      evaluationIds: terms.manifest.evaluationIds.map(BigInt),
    },
  }
  await waitFor(
    await writeContract({
      address: OPENLEDGER.jobRegistry,
      abi: JobRegistry.abi,
      functionName: 'submit',
      args: [args],
      value: BigInt(estimate.fee),
    }),
  )
  tell('Putting it on the queue…')
  return call<Hex>('openledger_submitJob', manifest)
}
