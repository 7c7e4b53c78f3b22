/** Training jobs as `openledger_getJob` shows them, kept up to date by pushes, and what their owners do to them. */
import { useEffect, useState } from 'preact/hooks'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import type { Action } from '../../../factory/control.ts'
import type { Estimate } from '../../../factory/estimate.ts'
import type { TrainingManifest } from '../../../factory/manifest.ts'
import type { JobSummary, JobView } from '../../../factory/view.ts'
import { type Loaded, useCall, useSubscription } from './hooks.ts'
import { call, connection } from './rpc.ts'
import type { Hex } from './types.ts'

export type { JobSummary }
export type Job = JobView

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

/** Signed by the owner, sent by the node: it costs no gas. */
export async function control(id: Hex, action: Action): Promise<void> {
  const [{ JobRegistry }, { ACTIONS, controlData }, { readContract, signTyped }, { chainConfig }] =
    await Promise.all([
      import('../../../../genesis/contracts.generated.ts'),
      import('../../../factory/control.ts'),
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
  const { l2ChainId } = await chainConfig()
  const signature = await signTyped(
    controlData(
      { jobId: id, action: ACTIONS.indexOf(action), nonce: controls },
      { chainId: l2ChainId, verifyingContract: address },
    ),
  )
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
  readonly manifest: TrainingManifest
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
