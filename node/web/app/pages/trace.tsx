/** /trace/:hash: one fee followed from its payer to the rows: payer -> shares -> contributor -> row. */
import { Card, Page } from '../components/layout.tsx'
import { RetrievedRows } from '../components/retrieved.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Address, Amount, BlockLink, Hash } from '../components/value.tsx'
import { Verify } from '../components/verify.tsx'
import { type Attribution, WEIGHT_ONE } from '../lib/attribution.ts'
import { counted, integer, percent } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'
import type { Hex, ReceiptView } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'
import './trace.css'

export default function Trace({ params }: PageProps) {
  const { hash = '' } = params
  const valid = /^0x[0-9a-f]{64}$/.test(hash)
  const receipt = useCall<ReceiptView | null>('openledger_getReceipt', valid ? [hash] : null)
  return (
    <Page
      title="Follow the money"
      lead="Every wei of a fee, from who paid it to the rows it was paid for."
      crumb={{ href: `/receipt/${hash}`, text: 'Receipt' }}
    >
      {valid ? (
        <Show
          of={receipt}
          rows={8}
          what="receipt"
          empty={<Empty title="No such receipt is settled" />}
        >
          {(data) => <Steps receipt={data} />}
        </Show>
      ) : (
        <Empty title="That is no receipt's hash">0x and 64 digits.</Empty>
      )}
    </Page>
  )
}

const SHARES = [
  ['contributors', 'people whose data shaped the answer'],
  ['modelOwner', 'owner of the model, and of its ancestors'],
  ['stakers', 'those who staked OPEN'],
  ['platform', 'platform'],
] as const

function Steps({ receipt }: { receipt: ReceiptView }) {
  const attribution = useCall<Attribution>('openledger_getAttribution', [receipt.receiptHash])
  const place = usePlace()
  const { contributors, fee, shares } = receipt
  const chosen =
    contributors.find(({ account }) => account === place.query.get('to')) ?? contributors[0]
  const part = (wei: string): string =>
    fee === '0' ? '0 %' : percent(Number((BigInt(wei) * 10_000n) / BigInt(fee)) / 10_000, 2)
  return (
    <ol class="trace">
      <li>
        <Card title="1. Paid" more={<Amount wei={fee} />}>
          <Address value={receipt.payer} /> paid {integer(fee)} wei for {integer(receipt.tokensIn)}{' '}
          tokens in and {integer(receipt.tokensOut)} out, settled in block{' '}
          <BlockLink number={receipt.block.number} />,{' '}
          <Hash value={receipt.transaction} kind="tx" />.
        </Card>
      </li>
      <li>
        <Card title="2. Split" more="by the policy of the model">
          <ul class="splits">
            {SHARES.map(([key, label]) => (
              <li key={key} class={key === 'contributors' ? 'on' : ''}>
                <span class="num">{part(shares[key])}</span>
                <span>{label}</span>
                <Amount wei={shares[key]} />
              </li>
            ))}
          </ul>
        </Card>
      </li>
      <li>
        <Card title="3. Weighed" more={counted(contributors.length, 'contributor')}>
          {chosen ? (
            <ul class="splits scroll">
              {contributors.map(({ account, share, amount }) => (
                <li key={account} class={account === chosen.account ? 'on' : ''}>
                  <span class="num">{percent(share, 2)}</span>
                  <button
                    type="button"
                    class="link"
                    aria-pressed={account === chosen.account}
                    onClick={() => setQuery('to', account)}
                  >
                    <span class="mono">{account.slice(0, 12)}…</span>
                  </button>
                  <Amount wei={amount} />
                </li>
              ))}
            </ul>
          ) : (
            <p>Nobody scored above zero: the part went to the treasury of the Datanet.</p>
          )}
        </Card>
      </li>
      {chosen ? (
        <li>
          <Card title="4. For what" more={<Amount wei={chosen.amount} />}>
            <Show of={attribution} rows={3} what="attribution">
              {(data) => <Why of={data} account={chosen.account} />}
            </Show>
          </Card>
        </li>
      ) : null}
      <li>
        <Card title="5. Proven">
          <div class="button-row">
            <Verify receiptHash={receipt.receiptHash} />
          </div>
        </Card>
      </li>
    </ol>
  )
}

function Why({ of, account }: { of: Attribution; account: Hex }) {
  const one = of.contributors.find((item) => item.account === account)
  const quotes = of.pieces.flatMap(({ text, owners }) =>
    owners.filter(({ contributor }) => contributor === account).map((owner) => ({ text, owner })),
  )
  const weight = (value: string | undefined): string => percent(Number(value ?? 0) / WEIGHT_ONE, 2)
  return (
    <div class="stack">
      <p>
        <Address value={account} /> has {weight(one?.weight)} of the contributors' part:{' '}
        {weight(one?.gradient)} of the influence ({of.channels.gradient / 100} parts),{' '}
        {weight(one?.span)} of what is quoted ({of.channels.span / 100} parts, where anything is),{' '}
        {weight(one?.retrieval)} of what was read ({of.channels.retrieval / 100} parts, where
        anything was).
      </p>
      {quotes.length > 0 ? (
        <ul class="stack">
          {quotes.map(({ text, owner }) => (
            <li key={owner.claim}>
              “{text.trim()}” is from{' '}
              <a href={`/datanet/${owner.datanet}?version=${owner.version}&row=${owner.row}`}>
                Datanet {owner.datanet}, version {owner.version}, row {integer(owner.row)}
              </a>
            </li>
          ))}
        </ul>
      ) : (
        <p class="muted">
          Nothing of it is quoted: it is paid for{' '}
          {one?.retrieval === '0' ? '' : 'the rows that were read, and for '}what its rows taught
          the model.
        </p>
      )}
      <RetrievedRows of={of} account={account} />
    </div>
  )
}
