/** Fields of a request's body: read by type and range, refused by name. */
import { type NodeError, userError } from '../base/errors.ts'
import type { Body } from '../model/openai-http.ts'

/** `param` is the field as OpenAI's errors name it. */
export function invalid(param: string, message: string): NodeError {
  return userError('invalid-value', message, { param })
}

export function stringField(body: Body, name: string): string {
  const value = body[name]
  if (typeof value === 'string' && value.length > 0) return value
  throw invalid(name, `'${name}' must be a non-empty string`)
}

export function numberField(
  body: Body,
  name: string,
  range: { fallback: number; least: number; most: number; whole?: boolean },
): number {
  const { fallback, least, most, whole = false } = range
  const value = body[name] ?? fallback
  const ok =
    typeof value === 'number' &&
    value >= least &&
    value <= most &&
    (!whole || Number.isInteger(value))
  if (ok) return value
  throw invalid(
    name,
    `'${name}' is ${JSON.stringify(value)}; it must be ${whole ? 'an integer' : 'a number'} from ${least} to ${most}`,
  )
}

/** What changes an answer and is not done here is refused rather than passed over in silence. */
export function refuseUnoffered(body: Body, unoffered: readonly Unoffered[]): void {
  for (const { name, neutral, why } of unoffered) {
    const value = body[name]
    if (value === undefined || value === null || neutral(value)) continue
    throw invalid(name, `'${name}' is ${short(value)}: ${why}`)
  }
}

export type Unoffered = {
  readonly name: string
  /** Values that ask for nothing. */
  readonly neutral: (value: unknown) => boolean
  readonly why: string
}

function short(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
