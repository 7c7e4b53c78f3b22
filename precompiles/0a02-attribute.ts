/**
 * ATTRIBUTE, 0x…0a02: attribution scoring in consensus. Reads sealed models only; works in every kind of call.
 *
 *   score(bytes32 modelId, bytes sketch)
 *     returns (address[] accounts, uint32[] indices, uint64[] weights, bytes32 attributionRoot)
 *   scoreBatch(bytes32 modelId, bytes[] sketches, uint256[] amounts)
 *     returns (address[] accounts, uint256[] payouts, uint256 unattributed, bytes32[] attributionRoots)
 *   share(bytes32 modelId, bytes sketch, bytes claims, uint16[3] channels, uint256 amount)
 *     returns (address[] accounts, uint32[] indices, uint64[] weights, uint256[] amounts, bytes32 attributionRoot)
 *
 * A sketch is k int8 as bytes. Weights are parts of 2^32 in payout order and sum to 2^32, or all lists are empty.
 * attributionRoot is the Merkle-sum root of `sum-tree.ts`. A batch pays each amount exactly; accounts come by ascending
 * contributor; amounts nobody earns add up in `unattributed`. `share` is what settlement uses: all channels
 * (`mix.ts`), and `amount` cut by the weights.
 */
import { SCORE_BATCH_MAX, SKETCH_ENTRIES_MAX } from '../genesis/limits.ts'
import { cryptoFault, score as nativeScore } from '../native/index.ts'
import { claimsGas, SCORE_ENTRY_GAS, scoreGas } from './gas.ts'
import type { Precompile, PrecompileContext, PrecompileOutcome } from './host.ts'
import type { Table } from './manifest.ts'
import { decodeClaims, mix } from './mix.ts'
import { sealedManifest, sealedTable } from './models.ts'
import { type Share, score, splitAmount } from './score.ts'
import { sumRoot } from './sum-tree.ts'
import {
  type AbiValue,
  addressWord,
  decodeStrict,
  encodeAbi,
  selectorOf,
  wordArray,
  wordOf,
} from './util.ts'

const SCORE_SELECTOR = 0xc2e7248d
const SCORE_BATCH_SELECTOR = 0x9b1ad8a8
const SHARE_SELECTOR = 0xe2e364f7
const CHANNEL_WHOLE = 10_000n

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
    case SHARE_SELECTOR:
      return share(context)
    default:
      return halt('unknown function')
  }
}

function attributionRoot(table: Table, shares: readonly Share[]): Uint8Array {
  return sumRoot(
    shares.map((one) => ({ ...one, account: table.accounts[one.index] as Uint8Array })),
  )
}

/** Accounts, indices, weights. */
function paidColumns({ accounts }: Table, shares: readonly Share[]): AbiValue[] {
  return [
    wordArray(shares.map(({ index }) => addressWord(accounts[index] as Uint8Array))),
    wordArray(shares.map(({ index }) => wordOf(BigInt(index)))),
    wordArray(shares.map(({ weight }) => wordOf(weight))),
  ].map((tail) => ({ tail }))
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
  const shares = fastScore(table, signed(args.sketch))
  const output = encodeAbi([
    ...paidColumns(table, shares),
    { word: attributionRoot(table, shares) },
  ])
  return { kind: 'return', gasUsed, output }
}

/** The native scorer gives the twin's shares (`test/precompiles/native.test.ts`): 9.5 ms -> 0.13 ms for 1,000 x 1,024.
 * Without the addon the twin itself, so that such a node follows the chain too. */
const fastScore: typeof score =
  cryptoFault() === null
    ? ({ k, top, sums, multipliers }, query) => {
        const all = Uint32Array.from(multipliers)
        const { indices, weights } = nativeScore({ k, top, sums, multipliers: all, query })
        return [...indices].map((index, i) => ({ index, weight: weights[i] as bigint }))
      }
    : score

async function share(context: PrecompileContext): Promise<PrecompileOutcome> {
  const args = decodeStrict(context.input, (reader) => {
    reader.head(7)
    return {
      modelId: reader.word(0),
      sketch: reader.bytesAt(1),
      claims: reader.bytesAt(2),
      channels: [3, 4, 5].map((at) => reader.uint(at)),
      amount: reader.uint(6),
    }
  })
  if (!args) return halt('malformed arguments')
  const sum = args.channels.reduce((a, b) => a + b, 0n)
  if (sum !== CHANNEL_WHOLE) return halt('the channels are parts of 10,000')
  const found = await prepare(context, args.modelId, [args.sketch], claimsGas(args.claims.length))
  if ('kind' in found) return found
  const { table, gasUsed } = found
  const claims = decodeClaims(args.claims, table.accounts.length)
  if (typeof claims === 'string') return halt(claims)
  const [gradient, span, retrieval] = args.channels.map(Number) as [number, number, number]
  const shares = mix(table, signed(args.sketch), claims, { gradient, span, retrieval }, fastScore)
  const amounts = splitAmount(args.amount, shares)
  const output = encodeAbi([
    ...paidColumns(table, shares),
    { tail: wordArray(amounts.map(wordOf)) },
    { word: attributionRoot(table, shares) },
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
    const shares = fastScore(table, signed(sketch))
    const parts = splitAmount(amount, shares)
    if (shares.length === 0) unattributed += amount
    shares.forEach(({ index }, j) => {
      payouts.set(index, (payouts.get(index) ?? 0n) + (parts[j] as bigint))
    })
    roots.push(attributionRoot(table, shares))
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
  extraGas = 0n,
): Promise<{ table: Table; gasUsed: bigint } | PrecompileOutcome> {
  const manifest = await sealedManifest(context.evm, modelId)
  if (!manifest) return halt('no such model')
  if (sketches.some(({ length }) => length !== manifest.k)) {
    return halt(`a sketch of this model has ${manifest.k} entries`)
  }
  const gasUsed = scoreGas(manifest, sketches.length) + extraGas
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
