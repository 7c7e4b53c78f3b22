/** Rows that the question found, and that stood in the prompt when the model answered: whose they are, and what for. */
import type { Row } from '../../../datanet/rows.ts'
import { type Attribution, colourOf, type Retrieved, retrievedPart } from '../lib/attribution.ts'
import { counted, integer, percent } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { RowShown, TIER_HINT, TierBadge } from './media.tsx'
import { Show } from './state.tsx'
import { Address, Amount } from './value.tsx'

export function RetrievedRows({ of, account }: { of: Attribution; account?: string }) {
  const rows = of.retrieved.filter(({ contributor }) => !account || contributor === account)
  if (rows.length === 0) return null
  return (
    <section class="retrieved" aria-label="Rows that were read">
      <p class="small muted">
        {counted(rows.length, 'row')} read before answering, found by the question; reading has{' '}
        {of.channels.retrieval / 100} of 100 parts of the weights.{' '}
        {rows.some(({ tier }) => tier === 'retrieval') ? TIER_HINT : null}
      </p>
      <ol class="stack">
        {rows.map((one) => (
          <li key={one.claim} class={`detail ${colourOf(of, one.contributor)}`}>
            <RetrievedRow of={of} one={one} />
          </li>
        ))}
      </ol>
    </section>
  )
}

function RetrievedRow({ of, one }: { of: Attribution; one: Retrieved }) {
  const { datanet, version, row, tier, contributor, score } = one
  const found = useCall<{ readonly row: Row | null }>('openledger_getRow', [
    Number(datanet),
    version,
    row,
  ])
  const paid = of.contributors.find(({ account }) => account === contributor)
  return (
    <>
      <p class="small">
        <a href={`/datanet/${datanet}?version=${version}&row=${row}`}>
          Datanet {datanet}, version {version}, row {integer(row)}
        </a>{' '}
        of <Address value={contributor} /> <TierBadge tier={tier} />{' '}
        <span class="muted num">
          score {integer(score)}, {percent(retrievedPart(of, one))} of what was read; its owner has{' '}
        </span>
        <Amount wei={paid?.amount ?? '0'} /> <span class="muted">in all</span>
      </p>
      <Show of={found} rows={2} what="row">
        {({ row: shown }) => <RowShown row={shown} />}
      </Show>
    </>
  )
}
