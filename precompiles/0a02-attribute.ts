/**
 * ATTRIBUTE, 0x…0a02: attribution scoring in consensus. Reads sealed models only; works in every kind of call.
 *
 *   score(bytes32 modelId, bytes sketch)
 *     returns (address[] accounts, uint32[] indices, uint64[] weights, bytes32 attributionRoot)
 *   scoreBatch(bytes32 modelId, bytes[] sketches, uint256[] amounts)
 *     returns (address[] accounts, uint256[] payouts, uint256 unattributed, bytes32[] attributionRoots)
 *
 * A sketch is k int8 as bytes. Weights are parts of 2^32 in payout order and sum to 2^32, or all lists are empty.
 * attributionRoot = keccak256 over `u32 index || u64 weight` big-endian in payout order. A batch pays each
 * amount exactly; accounts come by ascending contributor; amounts nobody earns add up in `unattributed`.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { SCORE_BATCH_MAX, SKETCH_ENTRIES_MAX } from '../genesis/limits.ts'
import { SCORE_ENTRY_GAS, scoreGas } from './gas.ts'
import type { Precompile, PrecompileContext, PrecompileOutcome } from './host.ts'
import type { Table } from './manifest.ts'
import { sealedManifest, sealedTable } from './models.ts'
import { type Share, score, splitAmount } from './score.ts'
import { addressWord, decodeStrict, encodeAbi, selectorOf, wordArray, wordOf } from './util.ts'

const SCORE_SELECTOR = 0xc2e7248d
const SCORE_BATCH_SELECTOR = 0x9b1ad8a8

const INPUT_BYTES_MAX = 4 + 32 * (8 + 4 * SCORE_BATCH_MAX) + SCORE_BATCH_MAX * SKETCH_ENTRIES_MAX
const UINT256_MAX = 2n ** 256n - 1n

export const attribute: Precompile = async (context) => {
  const { input, frame } = context
  if (input.length > INPUT_BYTES_MAX) return halt('input is too long')
  if (frame.isPlain && frame.value !== 0n) return halt('takes no value')
  if (SCORE_ENTRY_GAS > context.gasLimit) return { kind: 'out-of-gas' }
  switch (selectorOf(input)) {
    case SCORE_SELECTOR:
      return scoreOne(context)
    case SCORE_BATCH_SELECTOR:
      return scoreBatch(context)
    default:
      return halt('unknown function')
  }
}

/** keccak256 over the shares as they are paid. */
function attributionRoot(shares: readonly Share[]): Uint8Array {
  const bytes = new Uint8Array(shares.length * 12)
  const view = new DataView(bytes.buffer)
  shares.forEach(({ index, weight }, i) => {
    view.setUint32(i * 12, index)
    view.setBigUint64(i * 12 + 4, weight)
  })
  return keccak_256(bytes)
}

async function scoreOne(context: PrecompileContext): Promise<PrecompileOutcome> {
  const args = decodeStrict(context.input, (reader) => {
    reader.head(2)
    return { modelId: reader.word(0), sketch: reader.bytesAt(1) }
  })
  if (!args) return halt('malformed arguments')
  const found = await prepare(context, args.modelId, [args.sketch])
  if ('kind' in found) return found
  const { table, gasUsed } = found
  const shares = score(table, signed(args.sketch))
  const output = encodeAbi([
    {
      tail: wordArray(shares.map(({ index }) => addressWord(table.accounts[index] as Uint8Array))),
    },
    { tail: wordArray(shares.map(({ index }) => wordOf(BigInt(index)))) },
    { tail: wordArray(shares.map(({ weight }) => wordOf(weight))) },
    { word: attributionRoot(shares) },
  ])
  return { kind: 'return', gasUsed, output }
}

async function scoreBatch(context: PrecompileContext): Promise<PrecompileOutcome> {
  const args = decodeStrict(context.input, (reader) => {
    reader.head(3)
    return {
      modelId: reader.word(0),
      sketches: reader.bytesArrayAt(1, SCORE_BATCH_MAX),
      amounts: reader.uintsAt(2, SCORE_BATCH_MAX),
    }
  })
  if (!args) return halt('malformed arguments')
  const { sketches, amounts } = args
  if (sketches.length === 0) return halt('the batch is empty')
  if (sketches.length !== amounts.length) return halt('one amount for each sketch')
  if (amounts.reduce((sum, amount) => sum + amount, 0n) > UINT256_MAX)
    return halt('amounts overflow')
  const found = await prepare(context, args.modelId, sketches)
  if ('kind' in found) return found
  const { table, gasUsed } = found

  const payouts = new Map<number, bigint>()
  const roots: Uint8Array[] = []
  let unattributed = 0n
  sketches.forEach((sketch, i) => {
    const amount = amounts[i] as bigint
    const shares = score(table, signed(sketch))
    const parts = splitAmount(amount, shares)
    if (shares.length === 0) unattributed += amount
    shares.forEach(({ index }, j) => {
      payouts.set(index, (payouts.get(index) ?? 0n) + (parts[j] as bigint))
    })
    roots.push(attributionRoot(shares))
  })
  const paid = [...payouts].sort(([a], [b]) => a - b)
  const output = encodeAbi([
    { tail: wordArray(paid.map(([index]) => addressWord(table.accounts[index] as Uint8Array))) },
    { tail: wordArray(paid.map(([, payout]) => wordOf(payout))) },
    { word: wordOf(unattributed) },
    { tail: wordArray(roots) },
  ])
  return { kind: 'return', gasUsed, output }
}

/** Everything that can be refused, and the gas, before the table is read. */
async function prepare(
  context: PrecompileContext,
  modelId: Uint8Array,
  sketches: readonly Uint8Array[],
): Promise<{ table: Table; gasUsed: bigint } | PrecompileOutcome> {
  const manifest = await sealedManifest(context.evm, modelId)
  if (!manifest) return halt('no such model')
  if (sketches.some(({ length }) => length !== manifest.k)) {
    return halt(`a sketch of this model has ${manifest.k} entries`)
  }
  const gasUsed = scoreGas(manifest, sketches.length)
  if (gasUsed > context.gasLimit) return { kind: 'out-of-gas' }
  const table = await sealedTable(context.evm, modelId, manifest)
  return typeof table === 'string' ? halt(table) : { table, gasUsed }
}

function signed(sketch: Uint8Array): Int8Array {
  return new Int8Array(sketch.buffer, sketch.byteOffset, sketch.length)
}

function halt(reason: string): PrecompileOutcome {
  return { kind: 'halt', reason }
}
