/** Reading single flags of a command: present, a whole number, a number, one of a few words. */
import { userError } from '../../node/base/errors.ts'
import type { Call } from './command.ts'

type Flags = Call['flags']

/** @throws NodeError `usage` when it is missing */
export function need(flags: Flags, name: string): string {
  const value = flags[name]
  if (!value) throw userError('usage', `--${name} is missing; --help shows its use`)
  return value
}

/** A whole number from `least` (1) to `most`. */
export function count(flags: Flags, name: string, most: number, least = 1): number {
  const text = need(flags, name)
  const value = Number(text)
  if (!/^\d{1,15}$/.test(text) || value < least || value > most) {
    throw userError(
      'usage',
      `--${name} is '${text}'; it must be a whole number from ${least} to ${most}`,
    )
  }
  return value
}

/** A finite number of at least 0. */
export function quantity(flags: Flags, name: string): number {
  const text = need(flags, name)
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw userError('usage', `--${name} is '${text}'; it must be a number of at least 0`)
  }
  return value
}

export function choice<const T extends string>(flags: Flags, name: string, of: readonly T[]): T {
  const text = need(flags, name)
  const found = of.find((word) => word === text)
  if (found === undefined) {
    throw userError('usage', `--${name} is '${text}'; it must be ${of.join(' or ')}`)
  }
  return found
}
