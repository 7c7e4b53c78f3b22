/**
 * Canonical JSON, for documents whose hash is committed on chain: keys sorted, no white space, only
 * strings, booleans, null, finite numbers, arrays and plain objects. The same value has one spelling
 * on every machine (RFC 8785 without its corner cases, which are refused).
 */
import { type Hex, keccakHex, utf8 } from './bytes.ts'
import { userError } from './errors.ts'

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

const DEPTH_MAX = 32

/** @throws NodeError `canonical-json` when the value has no canonical form. */
export function canonicalJson(value: Json): string {
  return write(value, 0)
}

export function canonicalHash(value: Json): Hex {
  return keccakHex(utf8(canonicalJson(value)))
}

function write(value: Json, depth: number): string {
  if (depth > DEPTH_MAX) throw refuse(`nested deeper than ${DEPTH_MAX}`)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'))
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || Object.is(value, -0)) throw refuse(`the number ${value}`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`
  if (typeof value !== 'object') throw refuse(`a ${typeof value}`)
  const fields = Object.entries(value as Record<string, Json | undefined>)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${write(item as Json, depth + 1)}`).join(',')}}`
}

function refuse(what: string): Error {
  return userError('canonical-json', `cannot write canonical JSON: ${what}`)
}
