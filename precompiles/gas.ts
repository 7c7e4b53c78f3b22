/**
 * Gas of our precompiles, priced from the slowest allowed verifier: one thread running the scalar TypeScript
 * twin (the native path only makes a node faster, never a block cheaper). Reading and storing code costs
 * what the EVM takes for the same work. The twin does 100 to 560 million multiply-adds a second, so the
 * dearest table scores at 20 to 80 million gas a second: no worse than ordinary contract code.
 *
 *   put       CREATE 32,000 + 200 a byte stored + 6 a word hashed
 *   seal      the same for the manifest + reading the table + 60 a contributor checked + reading the corpus record and
 *             whether its tables are there
 *   score     base 3,000 + reading the table + 1 per 8 multiply-adds + 60 a contributor ranked
 *   share     the same + 60 a claim + 600 to cut the amount and to close the sum tree of 64
 *   span      base 3,000 + reading record and tables + 8 a byte of input: a hash for every 32 of them
 *   upgrade   two cold accounts + CREATE 32,000 + 200 a byte of code
 *   scoreBatch  reads the table once, the rest per sketch; 10 a contributor merged
 *
 * A vote may change the price of each by a factor (`priced.ts`).
 *
 * Reading a table: 2,600 a chunk (a cold account) + 3 a word (a copy).
 */
import { MODEL_CHUNK_BYTES_MAX } from '../genesis/limits.ts'
import { CHUNK_TAG_BYTES, tableBytes } from './manifest.ts'
import { CLAIM_BYTES } from './mix.ts'

const CREATE = 32_000
const CODE_BYTE = 200
const HASH_WORD = 6
const COLD_ACCOUNT = 2_600
const COPY_WORD = 3
const SCORE_BASE = 3_000
const MACS_PER_GAS = 8
const CONTRIBUTOR_CHECKED = 60
const CONTRIBUTOR_RANKED = 60
const CONTRIBUTOR_MERGED = 10
const SHARE_BASE = 600
const CLAIM = 60
const SPAN_BYTE = 8

export type TableShape = {
  readonly k: number
  readonly contributors: number
  readonly chunks: number
}

/** Before anything is looked at. */
export const SCORE_ENTRY_GAS: bigint = BigInt(SCORE_BASE + COLD_ACCOUNT)

export function putGas(codeBytes: number): bigint {
  return BigInt(CREATE + CODE_BYTE * codeBytes + HASH_WORD * words(codeBytes))
}

export function sealGas(manifestBytes: number, shape: TableShape): bigint {
  return putGas(manifestBytes) + readGas(shape) + BigInt(CONTRIBUTOR_CHECKED * shape.contributors)
}

/** What `seal` takes beside it: the record, and each chunk of its unigram table. */
export function corpusGas(tables: number): bigint {
  return BigInt(COLD_ACCOUNT * (1 + tables))
}

export function scoreGas(shape: TableShape, sketches: number): bigint {
  const { k, contributors } = shape
  const each = Math.ceil((k * contributors) / MACS_PER_GAS) + CONTRIBUTOR_RANKED * contributors
  const merge = sketches > 1 ? CONTRIBUTOR_MERGED * contributors : 0
  return SCORE_ENTRY_GAS + readGas(shape) + BigInt(sketches * each + merge)
}

/** What `share` takes beside one score. */
export function claimsGas(bytes: number): bigint {
  return BigInt(SHARE_BASE + CLAIM * Math.ceil(bytes / CLAIM_BYTES))
}

export function spanGas(tables: number, inputBytes: number): bigint {
  return SCORE_ENTRY_GAS + BigInt(COLD_ACCOUNT * tables + SPAN_BYTE * inputBytes)
}

export const UPGRADE_ENTRY_GAS: bigint = BigInt(2 * COLD_ACCOUNT + CREATE)

export function upgradeGas(codeBytes: number): bigint {
  return UPGRADE_ENTRY_GAS + BigInt(CODE_BYTE * codeBytes)
}

function readGas(shape: TableShape): bigint {
  const bytes = tableBytes(shape)
  // A chunk never holds more than a code, whatever the shape claims.
  const held = Math.min(bytes, shape.chunks * (MODEL_CHUNK_BYTES_MAX - CHUNK_TAG_BYTES))
  return BigInt(COLD_ACCOUNT * shape.chunks + COPY_WORD * words(held))
}

function words(bytes: number): number {
  return Math.ceil(bytes / 32)
}
