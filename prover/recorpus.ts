/**
 * A model's corpus once more: its rows are those of the manifest that count and may be shown, in order, each with its owner
 * and tokens, and nothing else stands between or behind them; its suffix array is sorted. That the record commits to what is
 * looked at, and counts its tokens right, `loadCorpus` has seen. Spans and retrieved rows are paid by it: whoever made it could
 * else have put its own account behind everybody's words, or words that no row has behind them all, and so made tokens rare.
 */
import { type CorpusRow, layOut, rowAt, type SpanCorpus } from '../node/attribution/corpus.ts'
import { type Difference, inTable } from './compare.ts'

/** @param rows as the manifest has them
 * @param options.vocabulary of the base
 * @param options.least tokens of the shortest span that counts; 0: the model has no corpus */
export async function recorpus(
  corpus: SpanCorpus | null,
  rows: readonly CorpusRow[],
  { vocabulary, least }: { readonly vocabulary: number; readonly least: number },
): Promise<Difference | null> {
  const wanted = least === 0 ? 0 : rows.length
  const count = corpus?.rows.length ?? 0
  if (count !== wanted) return inTable('rows of the corpus', 0, count, wanted)
  if (!corpus) return null
  if (corpus.least !== least) return inTable('least span of the corpus', 0, corpus.least, least)
  if (corpus.bits.length !== vocabulary)
    return inTable('vocabulary of the corpus', 0, corpus.bits.length, vocabulary)
  const { stream, placed } = layOut(rows)
  for (const [row, ours] of placed.entries()) {
    const theirs = corpus.rows[row] as SpanCorpus['rows'][number]
    for (const field of ['contributor', 'group', 'content', 'start', 'length'] as const)
      if (theirs[field] !== ours[field])
        return inTable(`${field} of corpus row`, row, theirs[field], ours[field])
  }
  const { length } = corpus.index
  if (length !== stream.length) return inTable('length of the corpus', 0, length, stream.length)
  const claimed = corpus.index.values('stream', 0, length)
  const differs = stream.findIndex((token, i) => token !== claimed[i])
  if (differs >= 0) {
    const row = rowAt(placed, differs)
    const place = differs - (placed[row]?.start ?? 0)
    return inTable(`token ${place} of corpus row`, row, claimed[differs], stream[differs])
  }
  const fault = await corpus.index.fault()
  return fault === null
    ? null
    : inTable('suffix array, entry', fault, 'as it stands', 'out of order')
}
