/**
 * Fine-tunes a LoRA adapter from plain files: rows `{id, text, tokens?}` in, a PEFT directory out, checkpoints inside
 * it on request. The same base, rows and settings give the same bytes; every row is a sample of its own (no packing).
 */
import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import {
  Model,
  type Progress,
  type Sample,
  type TrainedAdapter,
  type TrainLoraConfig,
  type TrainRunOptions,
  trainLora,
} from '../native/index.ts'
import { allRows, samplesOf } from './rows.ts'

export type TrainJob = {
  readonly base: string
  readonly train: string
  readonly out: string
  /** What an earlier run left in `out` makes room: its checkpoints are removed once base and rows are read. */
  readonly replace?: boolean | undefined
  /** A file of rows to evaluate on, or the part of the training rows that is set apart. */
  readonly evaluation?: string | number | undefined
  /** Longer rows are cut here. */
  readonly maxTokens: number
  readonly config: Omit<TrainLoraConfig, 'baseName'>
  readonly run: Omit<TrainRunOptions, 'evaluation'>
}

/** @throws NodeError, NativeError */
export async function trainFile(
  job: TrainJob,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<TrainedAdapter & { rows: number; evaluated: number }> {
  const model = await Model.load(job.base)
  const read = async (path: string): Promise<Sample[]> => {
    const rows = await allRows(path, model)
    return samplesOf(path, rows).map(({ tokens, lossFrom }) => ({
      tokens: tokens.slice(0, job.maxTokens),
      lossFrom,
    }))
  }
  const all = await read(job.train)
  const { samples, evaluation } =
    typeof job.evaluation === 'string'
      ? { samples: all, evaluation: await read(job.evaluation) }
      : splitEvenly(all, job.evaluation ?? 0)
  if (job.replace && !job.run.resume) await removeCheckpoints(job.out)
  const config = { ...job.config, baseName: basename(job.base) }
  const run = { ...job.run, evaluation }
  const trained = await trainLora(model, { samples, config, run }, job.out, onProgress, signal)
  return { ...trained, rows: samples.length, evaluated: evaluation.length }
}

/** They would pass for checkpoints of the next run. */
async function removeCheckpoints(out: string): Promise<void> {
  const names = existsSync(out) ? await readdir(out) : []
  for (const name of names.filter((name) => /^checkpoint-\d+$/.test(name))) {
    await rm(join(out, name), { recursive: true })
  }
}

/** Sets a part of the rows apart, spread evenly over the file. */
export function splitEvenly<T>(
  rows: readonly T[],
  part: number,
): { samples: T[]; evaluation: T[] } {
  const isApart = (i: number): boolean => Math.floor((i + 1) * part) > Math.floor(i * part)
  return {
    samples: rows.filter((_, i) => !isApart(i)),
    evaluation: rows.filter((_, i) => isApart(i)),
  }
}
