/**
 * The engine's fine-tuning with checkpoints that can travel. A checkpoint names a step, the state it can be
 * resumed from (a directory in the content store: adapter and optimiser), and the *trail*: a hash chain over the
 * losses and gradient lengths of every step up to it. A run that resumes continues the trail it finds; steps that an
 * earlier attempt has shown must come out again, or either the machine or the record is wrong.
 *
 *   trail_n = keccak256(trail_{n-1} 32 || n u32 || loss f64 || gradient length f64)     trail_0 = 0
 *   root    = keccak256(state 32 || trail_n)                                            state 0: none
 *
 * The engine keeps the state of its newest checkpoint alone, and trains on while it is copied: a copy that comes too
 * late is a checkpoint without a state.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Adapter,
  type Model,
  type Sample,
  type TrainLoraConfig,
  trainLora,
} from '../../native/index.ts'
import { concatBytes, fromHex, type Hex, keccakHex, ZERO_HASH } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import {
  type FetchContent,
  importDirectory,
  materialise,
  readManifest,
} from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'

export type Checkpoint = {
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly trail: Hex
  /** Content hash of the directory; zero when there is none. */
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
  /** What earlier attempts have shown, in order of steps. */
  readonly shown: readonly Checkpoint[]
  /** Directory of the adapter to go on from. */
  readonly parent?: string | undefined
  readonly dir: string
}

type Modules = {
  readonly content: ContentStore
  readonly fetch: FetchContent
  readonly signal?: AbortSignal | undefined
  onProgress(progress: StepProgress): void
  onCheckpoint(checkpoint: Checkpoint): Promise<void>
}

const STATE_FILE = 'training_state.json'

/** @throws NodeError `training-trail` when steps do not repeat what was shown of them. */
export async function trainAdapter(input: Input, modules: Modules): Promise<Adapter> {
  const { model, samples, config, checkpointSteps, shown, dir, parent } = input
  const checkpointDir = `${dir}-checkpoints`
  const resumed = await layOut(shown, checkpointDir, modules)
  const known = new Map(shown.map((checkpoint) => [checkpoint.step, checkpoint.trail]))
  const newest = shown.at(-1)?.step ?? 0
  let trail = resumed?.trail ?? ZERO_HASH
  let copied: Promise<void> = Promise.resolve()
  const { adapter } = await trainLora(
    model,
    {
      samples,
      config,
      run: {
        checkpointDir,
        checkpointEvery: checkpointSteps,
        resume: resumed !== null,
        ...(parent && { initialDir: parent }),
      },
    },
    dir,
    ({ step, steps, loss, gradNorm, tokensPerSecond }) => {
      trail = extendTrail(trail, { step, loss, gradNorm })
      const expected = known.get(step)
      if (expected && expected !== trail) throw broken(step, expected, trail)
      modules.onProgress({ step, steps, loss, gradNorm, tokensPerSecond })
      if (step <= newest || (step % checkpointSteps !== 0 && step !== steps)) return
      const parts = { step, steps, loss, trail }
      copied = copied.then(async () => {
        const state = await copyState(join(checkpointDir, `checkpoint-${step}`), modules.content)
        await modules.onCheckpoint(checkpointOf({ ...parts, state }))
      })
      // Its failure is told below.
      copied.catch(() => {})
    },
    modules.signal,
  ).finally(() => copied.catch(() => {}))
  await copied
  await rm(checkpointDir, { recursive: true, force: true })
  return adapter
}

/** The newest state that was shown, as the engine wants it; nothing else may lie there. */
async function layOut(
  shown: readonly Checkpoint[],
  checkpointDir: string,
  { content, fetch }: Modules,
): Promise<Checkpoint | null> {
  await rm(checkpointDir, { recursive: true, force: true })
  const last = shown.findLast(({ state }) => state !== ZERO_HASH)
  if (!last) return null
  const target = join(checkpointDir, `checkpoint-${last.step}`)
  try {
    await materialise(content, { hash: last.state, target, fetch })
    return last
  } catch (error) {
    // Lost: the steps are computed again, which costs time and changes no byte.
    if (error instanceof NodeError && error.code.startsWith('content-')) return null
    throw error
  }
}

/** Zero when the engine has already taken the state away for a newer one. */
async function copyState(path: string, content: ContentStore): Promise<Hex> {
  try {
    const hash = await importDirectory(content, path)
    const { files } = await readManifest(content, hash)
    return files.some(({ name }) => name === STATE_FILE) ? hash : ZERO_HASH
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ZERO_HASH
    throw error
  }
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
