/**
 * A model's corpus once more: its rows are those of the manifest that count and may be shown, in order, each with its owner
 * and tokens, and its suffix array is sorted. That the record commits to what is looked at, `loadCorpus` has seen. Spans and
 * retrieved rows are paid by it: whoever made it could else have put its own account behind everybody's words.
 */
import { type CorpusRow, rowTokens, type SpanCorpus } from '../node/attribution/corpus.ts'
import type { Difference } from './compare.ts'

/** @param rows as the manifest has them
 * @param least tokens of the shortest span that counts; 0: the model has no corpus */
export async function recorpus(
  corpus: SpanCorpus | null,
  rows: readonly CorpusRow[],
  least: number,
): Promise<Difference | null> {
  const at = (field: string, index: number, claimed: unknown, found: unknown): Difference => ({
    stage: 'table',
    field,
    index,
    claimed: String(claimed),
    found: String(found),
  })
  const wanted = least === 0 ? 0 : rows.length
  const count = corpus?.rows.length ?? 0
  if (count !== wanted) return at('rows of the corpus', 0, count, wanted)
  if (!corpus) return null
  if (corpus.least !== least) return at('least span of the corpus', 0, corpus.least, least)
  let start = 0
  for (const [row, ours] of rows.entries()) {
    const theirs = corpus.rows[row] as SpanCorpus['rows'][number]
    for (const field of ['contributor', 'group', 'content'] as const)
      if (theirs[field] !== ours[field])
        return at(`${field} of corpus row`, row, theirs[field], ours[field])
    if (theirs.start !== start) return at('start of corpus row', row, theirs.start, start)
    const tokens = rowTokens(corpus, row)
    const differs = [...ours.tokens].findIndex((token, i) => token !== tokens[i])
    if (differs >= 0 || tokens.length !== ours.tokens.length) {
      const place = differs < 0 ? ours.tokens.length : differs
      const [claimed, found] = [tokens[place] ?? 'nothing', ours.tokens[place] ?? 'nothing']
      return at(`token ${place} of corpus row`, row, claimed, found)
    }
    start += ours.tokens.length + 1
  }
  const fault = await corpus.index.fault()
  return fault === null ? null : at('suffix array, entry', fault, 'as it stands', 'out of order')
}
