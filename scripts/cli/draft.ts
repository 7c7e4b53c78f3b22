/** A drafted job as `openledger_draftJob` answers it, and back to what JobRegistry takes. JSON has no bigints. */
import type { SubmitTerms } from '../../node/factory/chain.ts'
import type { Estimate } from '../../node/factory/estimate.ts'
import type { TrainingManifest } from '../../node/factory/manifest.ts'

/** Bigints in decimal. */
type Plain<T> = T extends bigint
  ? string
  : T extends object
    ? { readonly [K in keyof T]: Plain<T[K]> }
    : T

export type JobDraft = {
  readonly manifest: TrainingManifest
  readonly terms: Plain<SubmitTerms>
  readonly estimate: Estimate
}

/** The argument of `JobRegistry.submit`. */
export function termsOf({ terms }: Pick<JobDraft, 'terms'>): SubmitTerms {
  const { manifest } = terms
  return {
    ...terms,
    deadline: BigInt(terms.deadline),
    manifest: {
      ...manifest,
      datanetIds: manifest.datanetIds.map(BigInt),
      evaluationIds: manifest.evaluationIds.map(BigInt),
    },
  }
}
