/**
 * Reading L1's JSON: every value is checked at the door, so that the rest of the room works with
 * numbers and bytes. Anything unexpected is `l1Invalid`, which makes the client try its next endpoint.
 */
import { fromHex, type Hex } from '../base/bytes.ts'
import { l1Invalid } from './errors.ts'

export type Json = Readonly<Record<string, unknown>>

export function objectOf(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw l1Invalid(`${name} is not an object`)
  }
  return value as Json
}

export function arrayOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw l1Invalid(`${name} is not a list`)
  return value
}

export function quantityOf(value: unknown, name: string): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) {
    throw l1Invalid(`${name} is not a quantity: ${String(value).slice(0, 80)}`)
  }
  return BigInt(value)
}

export function bytesOf(value: unknown, name: string, length?: number): Uint8Array {
  if (typeof value !== 'string' || !/^0x([0-9a-fA-F]{2})*$/.test(value)) {
    throw l1Invalid(`${name} is not hex bytes`)
  }
  if (length !== undefined && value.length !== 2 + 2 * length) {
    throw l1Invalid(`${name} has ${value.length / 2 - 1} bytes, not ${length}`)
  }
  return fromHex(value)
}

/** Lower case. */
export function hexOf(value: unknown, name: string, length: number): Hex {
  bytesOf(value, name, length)
  return (value as string).toLowerCase() as Hex
}
