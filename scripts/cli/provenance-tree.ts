/** Provenance as text: an answer with its rows and payees, and events below what they follow from. Pure. */
import type { Answer, SourceRow } from '../../node/provenance/answer.ts'
import type { Facts, ProvenanceEvent } from '../../node/provenance/event.ts'

/** As the tree needs it; JSON has the block's number as a number. */
export type TreeEvent = Pick<ProvenanceEvent, 'hash' | 'kind' | 'about' | 'transaction'> & {
  readonly predecessors: readonly string[]
  readonly block: { readonly number: number | bigint }
}

type Branch = { readonly line: string; readonly below: readonly Branch[] }

const TEXT_CHARACTERS_MAX = 72
const SHORT = 10

export function answerTree(
  { text, quotes, retrieved, payees }: Answer,
  open: (wei: bigint) => string,
): string[] {
  const leaf = (line: string): Branch => ({ line, below: [] })
  const quoted = quotes.map((quote) => ({
    line: `quotes ${shown(quote.text)}`,
    below: [leaf(`row ${placeOf(quote)} of ${quote.contributor}`)],
  }))
  const read = retrieved.map((one) => leaf(`read row ${placeOf(one)} of ${one.contributor}`))
  const paid = payees.map(({ account, roles, amount, rows }) => ({
    line: `${open(BigInt(amount))} OPEN to ${account} (${roles.join(', ')})`,
    below: rows.map((row) => leaf(`${row.channel}: row ${placeOf(row)}, score ${row.score}`)),
  }))
  return drawn([
    {
      line: `answer ${text === null ? '(not here)' : shown(text)}`,
      below: [...quoted, ...read, ...paid],
    },
  ])
}

/** Each event once, below the first of those it follows from that is shown; others are named. */
export function eventTree(events: readonly TreeEvent[]): string[] {
  const known = new Map(events.map((event) => [event.hash as string, event]))
  const below = new Map<string, TreeEvent[]>()
  const roots: TreeEvent[] = []
  for (const event of events) {
    const parent = event.predecessors.findLast((hash) => known.has(hash))
    if (parent === undefined) roots.push(event)
    else below.set(parent, [...(below.get(parent) ?? []), event])
  }
  const branch = (event: TreeEvent): Branch => ({
    line: lineOf(event, known),
    below: (below.get(event.hash) ?? []).map(branch),
  })
  return drawn(roots.map(branch))
}

function lineOf(event: TreeEvent, known: ReadonlyMap<string, TreeEvent>): string {
  const { hash, kind, block, predecessors } = event
  const shownBefore = predecessors.filter((one) => known.has(one)).slice(0, -1)
  const more = shownBefore.length > 0 ? `, after ${shownBefore.map(short).join(' ')} too` : ''
  return `${short(hash)} ${kind} in block ${block.number}: ${wordsOf(event)}${more}`
}

function wordsOf({ kind, about }: TreeEvent): string {
  switch (kind) {
    case 'contributed': {
      const { datanet, contributor, rowCount, isPrivate, rowsRoot } = about as Facts['contributed']
      const what = isPrivate ? 'private rows' : 'rows'
      return `${rowCount} ${what} ${short(rowsRoot)} of ${contributor} to Datanet ${datanet}`
    }
    case 'validated': {
      const { isAccepted, score, scores } = about as Facts['validated']
      return `${isAccepted ? 'accepted' : 'rejected'} with ${score} of 10000 by ${scores} scores`
    }
    case 'versioned': {
      const { datanet, version, rowCount } = about as Facts['versioned']
      return `version ${version} of Datanet ${datanet}, ${rowCount} rows`
    }
    case 'trained': {
      const { name, model, owner } = about as Facts['trained']
      return `model ${shown(name)} ${short(model)} of ${owner}`
    }
    case 'evaluated': {
      const { reportHash, datanets } = about as Facts['evaluated']
      const on = datanets.map(({ datanet, version }) => `Datanet ${datanet} version ${version}`)
      return [...on, reportHash ? `report ${reportHash}` : ''].filter(Boolean).join(', ')
    }
    case 'deployed': {
      const { rateIn, rateOut } = about as Facts['deployed']
      return `for ${rateIn} and ${rateOut} wei a token`
    }
    case 'served': {
      const { receipt, provider, fee } = about as Facts['served']
      return `receipt ${receipt} by ${provider} for ${fee} wei`
    }
    case 'attributed': {
      const { shares, treasuries } = about as Facts['attributed']
      return shares.length > 0
        ? `to ${shares.length} contributors`
        : `to nobody; ${treasuries.length} treasuries`
    }
    case 'paid': {
      const { payouts } = about as Facts['paid']
      const sum = payouts.reduce((wei, { amount }) => wei + BigInt(amount), 0n)
      return `${sum} wei in ${payouts.length} payouts`
    }
    case 'reported': {
      const { reporter, stage, difference } = about as Facts['reported']
      return `by ${reporter}: ${shown(stage)}, ${shown(difference)}`
    }
    case 'resolved':
      return (about as Facts['resolved']).isUpheld ? 'the report was right' : 'the report was wrong'
    case 'erased':
      return 'by its contributor'
  }
}

function placeOf({ datanet, version, row, tier, contributed }: SourceRow): string {
  const by = contributed ? ` (${short(contributed)})` : ''
  return `${datanet}/${version}/${row}${by}${tier === 'retrieval' ? ', retrieval only' : ''}`
}

function drawn(branches: readonly Branch[], indent = ''): string[] {
  return branches.flatMap(({ line, below }, i) => {
    const isLast = i === branches.length - 1
    return [
      `${indent}${isLast ? '└─' : '├─'} ${line}`,
      ...drawn(below, `${indent}${isLast ? '   ' : '│  '}`),
    ]
  })
}

function short(hash: string): string {
  return hash.slice(0, SHORT)
}

/** On one line, without what a terminal would obey. */
function shown(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is taken out
  const plain = text.replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
  const cut = plain.length > TEXT_CHARACTERS_MAX ? `${plain.slice(0, TEXT_CHARACTERS_MAX)}…` : plain
  return JSON.stringify(cut)
}
