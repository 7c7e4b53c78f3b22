/**
 * A training job once more, in part: the steps up to a drawn one, from the nearest checkpoint whose state is still to be
 * had, or from the beginning; each step's loss and gradient length must be the ones shown, to the bit, and the trail at
 * each checkpoint too. The first step that differs is named.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Hex, ZERO_HASH } from '../node/base/bytes.ts'
import { readManifest } from '../node/content/directory.ts'
import type { ContentStore } from '../node/content/store.ts'
import type { ReadContent, TrainingData } from '../node/factory/data.ts'
import { type Checkpoint, extendTrail, trainAdapter } from '../node/factory/engine.ts'
import type { TrainingManifest } from '../node/factory/manifest.ts'
import type { TrainingReport } from '../node/factory/report.ts'
import type { BaseModel } from '../node/model/base.ts'
import type { Difference } from './compare.ts'

export type RetrainModules = {
  readonly base: Pick<BaseModel, 'model'>
  /** Of the manifest. */
  readonly data: Pick<TrainingData, 'trained'>
  readonly content: ContentStore
  readonly read: ReadContent
  readonly workDir: string
  readonly signal?: AbortSignal
}

/** @param until last step that is looked at, from 1 */
export async function retrain(
  manifest: TrainingManifest,
  report: Pick<TrainingReport, 'points' | 'checkpoints'>,
  until: number,
  modules: RetrainModules,
): Promise<Difference | null> {
  const { base, content, data, read, workDir } = modules
  const from = await startOf(report.checkpoints, until, modules)
  const dir = join(workDir, 'adapter')
  await rm(dir, { recursive: true, force: true })
  const done = new AbortController()
  const watch = new StepWatch(report, from, (isOver) => isOver && done.abort(), until)
  const { lora, training, seed } = manifest
  const { checkpointSteps: _, ...schedule } = training
  const signals = [done.signal, ...(modules.signal ? [modules.signal] : [])]
  try {
    await trainAdapter(
      {
        model: base.model,
        samples: data.trained,
        config: { ...lora, ...schedule, seed: BigInt(seed), baseName: manifest.base },
        // None of its own: nothing is kept of this run.
        checkpointSteps: 1_000_000,
        shown: from ? [from] : [],
        dir,
      },
      {
        content,
        fetch: read,
        signal: AbortSignal.any(signals),
        onCheckpoint: async () => {},
        onProgress: (progress) => watch.step(progress),
      },
    )
  } catch (error) {
    if (!done.signal.aborted) throw error
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return watch.end()
}

/** The newest checkpoint before `until` whose state can be had. */
async function startOf(
  checkpoints: readonly Checkpoint[],
  until: number,
  { content, read }: RetrainModules,
): Promise<Checkpoint | null> {
  const before = checkpoints.filter(({ step, state }) => step < until && state !== ZERO_HASH)
  for (const checkpoint of [...before].reverse()) {
    try {
      await keep(checkpoint.state, content, read)
      for (const { hash } of (await readManifest(content, checkpoint.state)).files)
        await keep(hash, content, read)
      return checkpoint
    } catch {
      // Superseded states are let go; an earlier one, or the beginning, costs time alone.
    }
  }
  return null
}

async function keep(hash: Hex, content: ContentStore, read: ReadContent): Promise<void> {
  if (!(await content.has(hash))) await content.put(await read(hash))
}

class StepWatch {
  difference: Difference | null = null
  readonly #points: ReadonlyMap<number, readonly [number, number]>
  readonly #trails: ReadonlyMap<number, Hex>
  readonly #tell: (isOver: boolean) => void
  readonly #until: number
  #trail: Hex
  #isOver = false
  #last: number

  constructor(
    { points, checkpoints }: Pick<TrainingReport, 'points' | 'checkpoints'>,
    from: Checkpoint | null,
    tell: (isOver: boolean) => void,
    until: number,
  ) {
    this.#points = new Map(points.map(([step, loss, gradNorm]) => [step, [loss, gradNorm]]))
    this.#trails = new Map(checkpoints.map(({ step, trail }) => [step, trail]))
    this.#trail = from?.trail ?? ZERO_HASH
    this.#last = from?.step ?? 0
    this.#tell = tell
    this.#until = until
  }

  /** Steps come in order; what comes after the end is not looked at. */
  step(point: { step: number; loss: number; gradNorm: number }): void {
    if (this.#isOver) return
    this.#last = point.step
    this.#trail = extendTrail(this.#trail, point)
    this.difference = this.#compare(point)
    this.#isOver = this.difference !== null || point.step >= this.#until
    this.#tell(this.#isOver)
  }

  /** What differs; a run that is over before the last step that was shown differs in that. */
  end(): Difference | null {
    if (this.#isOver) return this.difference
    const [claimed, found] = [String(this.#until), String(this.#last)]
    return { stage: 'training', field: 'steps', index: this.#last, claimed, found }
  }

  #compare({ step, loss, gradNorm }: { step: number; loss: number; gradNorm: number }) {
    const differs = (field: string, claimed: unknown, found: unknown): Difference | null =>
      claimed === found
        ? null
        : { stage: 'training', field, index: step, claimed: String(claimed), found: String(found) }
    const shown = this.#points.get(step)
    const trail = this.#trails.get(step)
    return (
      (shown && differs('loss', shown[0], loss)) ??
      (shown && differs('gradNorm', shown[1], gradNorm)) ??
      (trail ? differs('trail', trail, this.#trail) : null)
    )
  }
}
