/** What training and attribution read: samples, and how they cross the border. */
import type { RawSample } from './binding.ts'

/** Tokens of which those from `lossFrom` (>= 1) on are targets. */
export interface Sample {
  tokens: Uint32Array
  lossFrom: number
}

export const rawSamples = (samples: readonly Sample[]): RawSample[] =>
  samples.map(({ tokens, lossFrom }) => ({ tokens, lossFrom }))
