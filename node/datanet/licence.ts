/**
 * Licence terms that a machine can check: the bits of `Licences.sol` by name. On chain they are numbers;
 * people and configuration files use the names.
 */
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'

export type Licence = {
  /** Bits of `PERMISSIONS`. */
  readonly permissions: number
  /** Bits of `PURPOSES`; 0: any. */
  readonly purposes: number
  /** Least part of a fee for contributors, in 10,000ths. */
  readonly contributorsMin: number
  /** Unix seconds; 0: never. */
  readonly expiresAt: bigint
  /** Content hash of the prose; zero: none. */
  readonly textHash: Hex
  /** Base models by content hash; none: any. */
  readonly bases: readonly Hex[]
}

/** Name to bit, as in `Licences.sol`. */
export const PERMISSIONS = {
  train: 1,
  retrieve: 2,
  commercial: 4,
  derivatives: 8,
  redistribute: 16,
  unattributed: 32,
  relicense: 64,
} as const

export const PURPOSES = {
  general: 1,
  research: 2,
  education: 4,
  health: 8,
  law: 16,
  finance: 32,
  government: 64,
  advertising: 128,
  surveillance: 256,
  military: 512,
} as const

/** In the order of `LicenceViolation`. */
export const VIOLATIONS = [
  'none',
  'revoked',
  'expired',
  'permission',
  'purpose',
  'contributors-part',
  'base',
] as const

/** Everything is allowed, to anybody, for ever. */
export const PUBLIC_DOMAIN: Licence = {
  permissions: Object.values(PERMISSIONS).reduce((a, b) => a | b, 0),
  purposes: 0,
  contributorsMin: 0,
  expiresAt: 0n,
  textHash: ZERO_HASH,
  bases: [],
}

type Names = Readonly<Record<string, number>>

/** No judgement of contributions is needed. */
export const NO_QUORUM = {
  validators: [] as readonly Hex[],
  threshold: 0,
  scoreMin: 0,
  commitSeconds: 0,
  revealSeconds: 0,
  stakeMin: 0n,
} as const

/** `train,commercial` to bits. @throws NodeError `licence` naming the word and the one that was meant. */
export function bitsOf(words: string, names: Names): number {
  return words
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean)
    .reduce((bits, word) => {
      const bit = Object.hasOwn(names, word) ? names[word] : undefined
      if (bit !== undefined) return bits | bit
      const near = nearest(word, Object.keys(names))
      const hint = near ? `did you mean '${near}'?` : `known: ${Object.keys(names).join(', ')}`
      throw userError('licence', `'${word}' is no licence term: ${hint}`)
    }, 0)
}

export function namesOf(bits: number, names: Names): string[] {
  return Object.entries(names)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name)
}
