/**
 * The engine's fine-tuning with checkpoints. A checkpoint names a step, the state it can be resumed from,
 * and the *trail*: a hash chain over the losses and gradient lengths of every step up to it. A run that
 * resumes must continue the trail it finds; one whose trail comes out differently is stopped, since then
 * either the machine or the record is wrong.
 *
 *   trail_n = keccak256(trail_{n-1} 32 || n u32 || loss f64 || gradient length f64)     trail_0 = 0
 *   root    = keccak256(state 32 || trail_n)                                            state 0: none
 *
 * The engine cannot yet hand out its state in mid-run: a run that resumes computes the steps again, which
 * costs time and changes no byte.
 */

import type { Model } from '../../native/index.ts'
import { type Adapter, type Sample, type TrainLoraConfig, trainLora } from '../../native/index.ts'
import { concatBytes, fromHex, type Hex, keccakHex, ZERO_HASH } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { ContentStore } from '../content/store.ts'

export type Checkpoint = {
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly trail: Hex
  /** Content hash; zero when the engine gives none. */
  readonly state: Hex
  readonly root: Hex
}

export type StepProgress = {
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly gradNorm: number
  readonly tokensPerSecond: number
}

type Input = {
  readonly model: Model
  readonly samples: readonly Sample[]
  readonly config: TrainLoraConfig
  readonly checkpointSteps: number
  readonly resume?: Checkpoint | undefined
  /** Directory of the adapter to go on from. */
  readonly parent?: string | undefined
  readonly dir: string
}

type Modules = {
  readonly content: ContentStore
  readonly signal?: AbortSignal | undefined
  /** `isNews` is false for steps that an earlier attempt has shown. */
  onProgress(progress: StepProgress, isNews: boolean): void
  onCheckpoint(checkpoint: Checkpoint): void
}

/** @throws NodeError `training-trail` when a resumed run does not repeat what it had shown. */
export async function trainAdapter(input: Input, modules: Modules): Promise<Adapter> {
  const { model, samples, config, checkpointSteps, resume, dir } = input
  if (input.parent) {
    throw userError('training-manifest', 'this engine cannot go on from an adapter yet; merge it')
  }
  let trail: Hex = ZERO_HASH
  const { adapter } = await trainLora(
    model,
    { samples, config },
    dir,
    ({ step, steps, loss, gradNorm, tokensPerSecond }) => {
      trail = extendTrail(trail, { step, loss, gradNorm })
      if (step === resume?.step && trail !== resume.trail) throw broken(step, resume.trail, trail)
      const isNews = step > (resume?.step ?? 0)
      modules.onProgress({ step, steps, loss, gradNorm, tokensPerSecond }, isNews)
      if (isNews && (step % checkpointSteps === 0 || step === steps)) {
        modules.onCheckpoint(checkpointOf({ step, steps, loss, trail, state: ZERO_HASH }))
      }
    },
    modules.signal,
  )
  return adapter
}

export function checkpointOf(parts: Omit<Checkpoint, 'root'>): Checkpoint {
  return { ...parts, root: keccakHex(concatBytes(fromHex(parts.state), fromHex(parts.trail))) }
}

export function extendTrail(
  trail: Hex,
  point: { step: number; loss: number; gradNorm: number },
): Hex {
  const bytes = new Uint8Array(20)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, point.step)
  view.setFloat64(4, point.loss)
  view.setFloat64(12, point.gradNorm)
  return keccakHex(concatBytes(fromHex(trail), bytes))
}

function broken(step: number, expected: Hex, got: Hex): NodeError {
  return new NodeError(
    'training-trail',
    'fatal',
    `the losses up to step ${step} hash to ${got}; the checkpoint says ${expected}: this machine or the record is wrong`,
  )
}
