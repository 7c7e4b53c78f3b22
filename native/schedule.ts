/** How parameters move during training: one set of options with defaults for LoRA and pre-training. */
import type { RawSchedule } from './binding.ts'

export interface ScheduleOptions {
  /** `adamw` (default) or `sgd`. */
  optimizer?: 'adamw' | 'sgd'
  learningRate: number
  /** Where the cosine ends, default 0. */
  learningRateFloor?: number
  /** Steps of linear warm-up, default 0. */
  warmupSteps?: number
  /** Decoupled, default 0. */
  weightDecay?: number
  /** Longest gradient (Euclidean); longer ones are scaled down; 0 is never. Default 1. */
  clip?: number
  beta1?: number
  beta2?: number
  eps?: number
  /** Samples per step. */
  batch: number
  /** Decides initial factors and data order, default 0. */
  seed?: bigint
}

export function rawSchedule(options: ScheduleOptions): RawSchedule {
  return {
    optimizer: options.optimizer ?? 'adamw',
    learningRate: options.learningRate,
    learningRateFloor: options.learningRateFloor ?? 0,
    warmupSteps: options.warmupSteps ?? 0,
    weightDecay: options.weightDecay ?? 0,
    clip: options.clip ?? 1,
    beta1: options.beta1 ?? 0.9,
    beta2: options.beta2 ?? 0.999,
    eps: options.eps ?? 1e-8,
    batch: options.batch,
    seed: options.seed ?? 0n,
  }
}
