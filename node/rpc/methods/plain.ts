/** What the node knows as what JSON-RPC answers: bigints in decimal, bytes in hex. */
import type { Json, JsonObject } from '../method.ts'

export function orNull(value: object | null): JsonObject | null {
  return value && plain(value)
}

export function plain(value: object): JsonObject {
  return toJson(value) as JsonObject
}

function toJson(value: unknown): Json {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
}
