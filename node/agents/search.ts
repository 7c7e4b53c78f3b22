/** Finding Datanets by words: those whose name or schema has most of them come first, newer before older. */
import type { DatanetRecord, Registry } from '../model/registry.ts'

const WORDS_MAX = 32

export async function searchDatanets(
  registry: Registry,
  query: string,
  limit: number,
): Promise<DatanetRecord[]> {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])].slice(0, WORDS_MAX)
  const all = await registry.datanets()
  if (words.length === 0) return all.slice(0, limit)
  const scored = all.map((datanet) => {
    const text = `${datanet.name} ${datanet.schema}`.toLowerCase()
    return { datanet, score: words.filter((word) => text.includes(word)).length }
  })
  return scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, limit)
    .map(({ datanet }) => datanet)
}
