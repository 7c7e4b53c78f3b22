/**
 * Where in the forward pass a provider's computation parts from the committed model's, asked of the provider: operators, then
 * the tiles of the first that differs, then the values of its first tile that differs.
 *
 * Why one must be found: both start from the same tokens, base and adapter, and the last operator's root is the trace root
 * that the receipt committed to. If that is not the one computed here, some operator is the first to differ, its inputs
 * being the same on both sides. The provider may choose which one it lies about, but not that none is named. What it does
 * not answer, or answers in contradiction to itself, is not believed and narrows nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  decodeOperators,
  decodeTile,
  decodeTiles,
  type OpeningQuestion,
} from '../node/attribution/opening.ts'
import type { PassPlace } from '../node/attribution/pass-place.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import { bytesEqual, type Hex, toHex } from '../node/base/bytes.ts'
import { messageOf } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import type { Openings } from '../node/model/openings.ts'
import { entryOf, type Pass } from '../node/model/pass.ts'
import type { Difference } from './compare.ts'

export type OpeningSource = {
  readonly chainId: number
  /** The provider's answer, when it is one that `accepts` takes; null: there is none. */
  ask(
    question: OpeningQuestion,
    accepts: (answer: Uint8Array) => boolean,
  ): Promise<Uint8Array | null>
}

/** What is known of a wrong pass beside the token it shows at: the place, or that what is shown does not come out at the
 * trace its provider committed to. */
export type Located = Pick<Difference, 'at' | 'claimed' | 'found'>

/** null: the provider does not answer. `pass` is over its own tokens. */
export async function locate(
  pass: Pass,
  { hash: receipt, receipt: of }: SettledReceipt,
  source: OpeningSource,
): Promise<Located | null> {
  const { chainId } = source
  const theirs = await answerTo(source, { receipt }, (bytes) =>
    decodeOperators(bytes, {
      chainId,
      receipt,
      provider: of.provider,
      count: pass.outputs.length,
    }),
  )
  const end = theirs?.at(-1)
  if (!theirs || !end) return null
  if (toHex(end) !== of.traceRoot) return { claimed: toHex(end), found: of.traceRoot }
  const ours = await pass.operators()
  const operator = firstUnequal(theirs, ours)
  const output = pass.outputs[operator]
  if (!output) return null
  const place = { layer: output.layer, operator: output.name }
  const root = theirs[operator] as Uint8Array

  const tiles = await answerTo(source, { receipt, operator }, (bytes) =>
    decodeTiles(bytes, { root, count: output.tiles }),
  )
  if (!tiles) return hashesAt(place, root, ours[operator])
  const ourTiles = await pass.tiles(operator)
  const tile = firstUnequal(tiles, ourTiles)
  const hash = tiles[tile] as Uint8Array
  const inTile = { ...place, tile }
  if (output.columns === 0)
    return hashesAt({ ...inTile, row: output.first + tile }, hash, ourTiles[tile])

  const values = await answerTo(source, { receipt, operator, tile }, (bytes) =>
    decodeTile(bytes, hash),
  )
  const ourValues = await pass.tile(operator, tile)
  const entry = ourValues.findIndex((value, i) => !Object.is(value, values?.[i]))
  if (values?.length !== ourValues.length || entry < 0)
    return hashesAt(inTile, hash, ourTiles[tile])
  return {
    at: { ...inTile, ...entryOf(output, tile, entry) },
    claimed: numberText(values[entry] as number),
    found: numberText(ourValues[entry] as number),
  }
}

/** How often a question is asked, and how long after the last time: a provider answers a few a minute. */
const TRIES_MAX = 3
const RETRY_MS = 5_000
/** Of all questions about one receipt; those behind it wait so long at most. */
const PATIENCE_MS = 60_000

/** A provider that did not answer is not asked again for so long: many wrong receipts of it hold up others once. */
const SILENT_MS = 600_000

/** What the node's `openings` give, for one receipt of a provider. */
export function patientSources(
  openings: Pick<Openings, 'ask'>,
  options: { chainId: number; signal: AbortSignal; log: Log; now?: () => number; retryMs?: number },
): (provider: Hex) => OpeningSource {
  const { chainId, signal, log, now = () => performance.now(), retryMs = RETRY_MS } = options
  const silentUntilMs = new Map<Hex, number>()
  const isSilent = (provider: Hex): boolean => {
    for (const [one, untilMs] of silentUntilMs) if (untilMs <= now()) silentUntilMs.delete(one)
    return silentUntilMs.has(provider)
  }
  return (provider) => {
    let ends: AbortSignal | null = null
    return {
      chainId,
      ask: async (question, accepts) => {
        if (isSilent(provider)) return null
        ends ??= AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
        for (let tries = 1; !ends.aborted; tries++) {
          try {
            return await openings.ask(question, accepts, ends)
          } catch (error) {
            log.debug('computation not shown', { ...question, error: messageOf(error) })
            if (tries === TRIES_MAX) break
            await delay(retryMs, undefined, { signal: ends }).catch(() => {})
          }
        }
        silentUntilMs.set(provider, now() + SILENT_MS)
        return null
      },
    }
  }
}

async function answerTo<T>(
  source: OpeningSource,
  question: OpeningQuestion,
  decode: (bytes: Uint8Array) => T | null,
): Promise<T | null> {
  const answer = await source.ask(question, (bytes) => decode(bytes) !== null)
  return answer && decode(answer)
}

function firstUnequal(theirs: readonly Uint8Array[], ours: readonly Uint8Array[]): number {
  return ours.findIndex((hash, i) => !bytesEqual(hash, theirs[i] ?? new Uint8Array(0)))
}

function hashesAt(at: PassPlace, claimed: Uint8Array, found: Uint8Array | undefined): Located {
  return { at, claimed: toHex(claimed), found: found ? toHex(found) : 'nothing' }
}

/** Nine digits tell any two f32 apart. */
function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(Number(value.toPrecision(9)))
}
