/** The verbatim channel on answers that quote a row word for word: is it found, and is anybody else named? */
import type { Model } from '../../../native/index.ts'
import { rowTokens, type SpanCorpus } from '../../../node/attribution/corpus.ts'
import { spanClaims } from '../../../node/attribution/spans.ts'

/** Tokens of a planted quotation, and of the noise on both sides. */
const QUOTED_TOKENS = 16
const NOISE_TOKENS = 24

/** Quotations between tokens drawn without order: whatever else is claimed there is false. */
export async function plantedRows(
  { config }: Model,
  corpus: SpanCorpus,
  count: number,
): Promise<{ found: number; falseOwners: number }> {
  let state = 1
  const draw = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  const noise = (): number[] => Array.from({ length: NOISE_TOKENS }, () => draw(config.vocab_size))
  let [found, falseOwners] = [0, 0]
  for (let i = 0; i < count; i++) {
    const row = draw(corpus.rows.length)
    const tokens = rowTokens(corpus, row)
    const from = draw(Math.max(1, tokens.length - QUOTED_TOKENS))
    const quoted = tokens.subarray(from, from + QUOTED_TOKENS)
    const answer = Uint32Array.from([...noise(), ...quoted, ...noise()])
    const claims = await spanClaims(corpus, { prompt: new Uint32Array(0), answer })
    // The first row that has the words owns them; a row is found by any of its words in the quotation.
    const isRight = ({ row: named, start, length }: (typeof claims)[number]): boolean => {
      const inside = Math.max(
        0,
        Math.min(start + length, NOISE_TOKENS + quoted.length) - Math.max(start, NOISE_TOKENS),
      )
      return (
        inside >= Math.min(corpus.least, quoted.length) && holds(rowTokens(corpus, named), quoted)
      )
    }
    if (claims.some(isRight)) found++
    falseOwners += claims.filter((claim) => !isRight(claim)).length
  }
  return { found, falseOwners }
}

function holds(row: Uint32Array, words: Uint32Array): boolean {
  for (let at = 0; at + words.length <= row.length; at++)
    if (words.every((token, i) => row[at + i] === token)) return true
  return false
}
