/**
 * SPAN, 0x…0a04: a proof that a span of an answer is the longest match in a corpus, by the suffix array's own entries.
 * Reads only; works in every kind of call.
 *
 *   verify(bytes32 corpus, bytes span, uint32 next, uint32 low, uint32 high, uint32 at, bytes proof)
 *     returns (uint32 count, uint32 bits, uint32 position, uint32 row, uint32 contributor, uint32 group)
 *
 * The suffixes that begin with the span are entries low..high - 1: low - 1 is smaller, low and high - 1 begin with it, high
 * is larger. Those that go on with `next` would stand between two adjacent ones of them: m - 1 goes on with less, m with
 * more, so nobody does (next = ffffffff: the answer ends here). `at`, low <= at < high, is the occurrence whose row is
 * named. `bits` is what the span is worth, eighths of a bit. A proof that proves nothing returns zeros.
 *
 * proof = openings: array u8 (0 stream, 1 suffix array, 2 rows) || leaf u32 || bytes u8 || leaf's bytes || siblings u8
 *         || 32 each
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { SPAN_PROOF_BYTES_MAX, SPAN_TOKENS_MAX } from '../genesis/limits.ts'
import { type Corpus, decodeCorpus, TABLE_TOKENS } from './corpus.ts'
import { SCORE_ENTRY_GAS, spanGas } from './gas.ts'
import type { Precompile, PrecompileContext, PrecompileOutcome } from './host.ts'
import { CHUNK_TAG_BYTES, isChunk } from './manifest.ts'
import { codeByHash } from './models.ts'
import { treeClimb } from './tree.ts'
import { decodeStrict, encodeAbi, selectorOf, u32At, wordOf } from './util.ts'

const VERIFY_SELECTOR = 0x60d551e6
const INPUT_BYTES_MAX = 4 + 32 * 11 + 4 * SPAN_TOKENS_MAX + SPAN_PROOF_BYTES_MAX
const END = 0xffff_ffff
const CHUNK_VALUES = 32
const ROW_BYTES = 48
const NOTHING = [0, 0, 0, 0, 0, 0]

type Claim = {
  readonly span: readonly number[]
  readonly next: number
  readonly low: number
  readonly high: number
  readonly at: number
}

export const span: Precompile = async (context) => {
  const { input, frame } = context
  if (input.length > INPUT_BYTES_MAX) return halt('input is too long')
  if (frame.isPlain && frame.value !== 0n) return halt('takes no value')
  if (SCORE_ENTRY_GAS > context.gasLimit) return { kind: 'out-of-gas' }
  if (selectorOf(input) !== VERIFY_SELECTOR) return halt('unknown function')
  const args = decodeStrict(input, (reader) => {
    reader.head(7)
    return {
      corpus: reader.word(0),
      span: reader.bytesAt(1),
      numbers: [2, 3, 4, 5].map((i) => reader.uint(i)),
      proof: reader.bytesAt(6),
    }
  })
  if (!args || args.numbers.some((value) => value > BigInt(END))) return halt('malformed arguments')
  const count = args.span.length / 4
  if (!Number.isInteger(count) || count < 1 || count > SPAN_TOKENS_MAX) return halt('bad span')
  const [next, low, high, at] = args.numbers.map(Number) as [number, number, number, number]
  const tokens = Array.from({ length: count }, (_, i) => u32At(args.span, 4 * i))
  return verify(context, args.corpus, args.proof, { span: tokens, next, low, high, at })
}

async function verify(
  context: PrecompileContext,
  id: Uint8Array,
  proof: Uint8Array,
  claim: Claim,
): Promise<PrecompileOutcome> {
  const code = await codeByHash(context.evm, id)
  const corpus = code && decodeCorpus(code)
  if (!corpus) return halt('no such corpus')
  const gasUsed = spanGas(corpus.tableHashes.length, context.input.length)
  if (gasUsed > context.gasLimit) return { kind: 'out-of-gas' }
  const openings = readOpenings(proof, corpus)
  if (typeof openings === 'string') return halt(openings)
  const found = openings && proven(openings, corpus, claim)
  const bits = found ? await bitsOf(context, corpus, claim.span) : 0
  if (typeof bits === 'string') return halt(bits)
  const words = found ? [claim.high - claim.low, bits, ...found] : NOTHING
  const output = encodeAbi(words.map((value) => ({ word: wordOf(BigInt(value)) })))
  return { kind: 'return', gasUsed, output }
}

/** Leaves by `array:index`, each checked against its root; null when one does not lead there. */
function readOpenings(proof: Uint8Array, corpus: Corpus): Map<string, Uint8Array> | string | null {
  const chunks = Math.ceil(corpus.length / CHUNK_VALUES)
  const arrays = [
    { root: corpus.streamRoot, count: chunks },
    { root: corpus.suffixRoot, count: chunks },
    { root: corpus.rowsRoot, count: corpus.rows },
  ]
  const openings = new Map<string, Uint8Array>()
  for (let at = 0; at < proof.length; ) {
    const array = arrays[proof[at] as number]
    if (!array || at + 6 > proof.length) return 'malformed proof'
    const index = u32At(proof, at + 1)
    const data = proof.subarray(at + 6, at + 6 + (proof[at + 5] as number))
    const siblingsAt = at + 6 + (proof[at + 5] as number)
    const end = siblingsAt + 1 + 32 * (proof[siblingsAt] ?? 0)
    if (siblingsAt >= proof.length || end > proof.length) return 'malformed proof'
    if (!leads(data, proof.subarray(siblingsAt + 1, end), { ...array, index })) return null
    openings.set(`${proof[at]}:${index}`, data)
    at = end
  }
  return openings
}

/** Whether a leaf is number `index` of `count` under `root` (the Merkle tree of the protocol). */
function leads(
  data: Uint8Array,
  siblings: Uint8Array,
  { root, index, count }: { root: Uint8Array; index: number; count: number },
): boolean {
  const hashes = Array.from({ length: siblings.length / 32 }, (_, i) =>
    siblings.subarray(32 * i, 32 * i + 32),
  )
  const leaf = keccak_256(Uint8Array.of(0, ...data))
  const top = treeClimb(hashes, { leaf, at: index, count }, parent)
  return top?.every((byte, i) => byte === root[i]) ?? false
}

function parent(left: Uint8Array, right: Uint8Array): Uint8Array {
  const node = new Uint8Array(65)
  node[0] = 1
  node.set(left, 1)
  node.set(right, 33)
  return keccak_256(node)
}

/** Position, row, contributor, group; null when the openings do not show the claim. */
function proven(
  openings: ReadonlyMap<string, Uint8Array>,
  { length }: Corpus,
  { span: wanted, next, low, high, at }: Claim,
): [number, number, number, number] | null {
  const value = (array: 0 | 1, index: number): number | null => {
    const leaf = openings.get(`${array}:${Math.floor(index / CHUNK_VALUES)}`)
    const from = 4 * (index % CHUNK_VALUES)
    return leaf && from + 4 <= leaf.length ? u32le(leaf, from) : null
  }
  /** What follows the span at entry k (row ends are least), or how the entry stands to it. */
  const entry = (k: number): number | 'less' | 'more' | null => {
    const position = value(1, k)
    if (position === null) return null
    for (const [j, token] of wanted.entries()) {
      const got = value(0, position + j)
      if (got === null) return null
      if (got !== token) return got === END || got < token ? 'less' : 'more'
    }
    const after = value(0, position + wanted.length)
    return after === null ? null : after === END ? -1 : after
  }
  if (!(low <= at && at < high && high <= length)) return null
  if (low > 0 && entry(low - 1) !== 'less') return null
  if (high < length && entry(high) !== 'more') return null
  if (typeof entry(low) !== 'number' || typeof entry(high - 1) !== 'number') return null
  if (next !== END && !nobodyGoesOn()) return null
  const position = value(1, at)
  return position === null ? null : ownerOf(openings, position)

  /** Two adjacent opened entries of the interval (or its ends) between which `next` would stand. */
  function nobodyGoesOn(): boolean {
    const after = (k: number): number | null => {
      const got = entry(k)
      return typeof got === 'number' ? got : null
    }
    const [first, last] = [after(low) as number, after(high - 1) as number]
    if (first > next || last < next) return true
    for (const key of openings.keys()) {
      if (!key.startsWith('1:')) continue
      const from = Number(key.slice(2)) * CHUNK_VALUES
      for (let k = Math.max(from, low); k < Math.min(from + CHUNK_VALUES, high - 1); k++) {
        const [a, b] = [after(k), after(k + 1)]
        if (a !== null && b !== null && a < next && next < b) return true
      }
    }
    return false
  }
}

/** The opened row that holds a position. */
function ownerOf(
  openings: ReadonlyMap<string, Uint8Array>,
  position: number,
): [number, number, number, number] | null {
  for (const [key, leaf] of openings) {
    if (!key.startsWith('2:') || leaf.length !== ROW_BYTES) continue
    const [start, length, contributor, group] = [0, 4, 8, 12].map((i) => u32le(leaf, i)) as [
      number,
      number,
      number,
      number,
    ]
    if (start <= position && position < start + length)
      return [position, Number(key.slice(2)), contributor, group]
  }
  return null
}

/** Eighths of a bit of all tokens, from the table in the state. */
async function bitsOf(
  { evm }: PrecompileContext,
  { tableHashes, vocabulary }: Corpus,
  tokens: readonly number[],
): Promise<number | string> {
  const tables = await Promise.all(tableHashes.map((hash) => codeByHash(evm, hash)))
  let sum = 0
  for (const token of tokens) {
    const table = tables[Math.floor(token / TABLE_TOKENS)]
    const bits = table?.[CHUNK_TAG_BYTES + (token % TABLE_TOKENS)]
    if (!table || !isChunk(table) || bits === undefined || token >= vocabulary)
      return 'the table of the corpus is not stored'
    sum += bits
  }
  return sum
}

function u32le(bytes: Uint8Array, at: number): number {
  const word = (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
  return ((bytes[at + 3] as number) * 256 + (bytes[at + 2] as number)) * 65_536 + word
}

function halt(reason: string): PrecompileOutcome {
  return { kind: 'halt', reason }
}
