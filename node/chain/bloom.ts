/**
 * The 2048-bit bloom filter of logs: three bits for each address and topic, from the low 11 bits of the
 * first three 16-bit words of its keccak. Yellow paper 4.3.1.
 */
import { fromHex, keccak } from '../base/bytes.ts'
import type { Log } from './types.ts'

export const BLOOM_BYTES = 256

/** One for all receipts without logs. */
const NO_LOGS = new Uint8Array(BLOOM_BYTES)

export function bloomOf(logs: readonly Log[]): Uint8Array {
  if (logs.length === 0) return NO_LOGS
  const bloom = new Uint8Array(BLOOM_BYTES)
  for (const log of logs) {
    add(bloom, fromHex(log.address))
    for (const topic of log.topics) add(bloom, fromHex(topic))
  }
  return bloom
}

export function mergeBlooms(blooms: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(BLOOM_BYTES)
  for (const bloom of blooms) {
    if (bloom === NO_LOGS) continue
    for (let i = 0; i < BLOOM_BYTES; i++) out[i] = (out[i] as number) | (bloom[i] ?? 0)
  }
  return out
}

/** False means certainly absent. */
export function bloomMayContain(bloom: Uint8Array, item: Uint8Array): boolean {
  return bitsOf(item).every((bit) => ((bloom[byteOf(bit)] as number) >> (bit & 7)) & 1)
}

function add(bloom: Uint8Array, item: Uint8Array): void {
  for (const bit of bitsOf(item))
    bloom[byteOf(bit)] = (bloom[byteOf(bit)] as number) | (1 << (bit & 7))
}

function bitsOf(item: Uint8Array): number[] {
  const hash = keccak(item)
  return [0, 2, 4].map((i) => (((hash[i] as number) << 8) | (hash[i + 1] as number)) & 2047)
}

function byteOf(bit: number): number {
  return BLOOM_BYTES - 1 - (bit >> 3)
}
