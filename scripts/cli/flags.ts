/** Reading single flags of a command: present, a whole number, wei, a number, one of a few words. */
import { parseEther } from 'viem/utils'
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

/** wei: larger than a JavaScript number holds. */
export function wei(flags: Flags, name: string): bigint {
  const text = need(flags, name)
  if (/^\d{1,30}$/.test(text)) return BigInt(text)
  throw userError('usage', `--${name} is '${text}'; it must be a whole number of wei`)
}

/** wei of an amount of OPEN, up to 18 decimals. */
export function open(flags: Flags, name: string): bigint {
  return openOf(need(flags, name), `--${name}`)
}

/** @param what is read, for the message @throws NodeError `usage` */
export function openOf(text = '', what: string): bigint {
  if (/^\d{1,10}(\.\d{1,18})?$/.test(text)) return parseEther(text)
  throw userError('usage', `${what} is '${text}'; it must be an amount of OPEN, such as 0.25`)
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
