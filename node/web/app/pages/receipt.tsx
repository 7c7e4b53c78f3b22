/** /receipt/:hash: one inference: its fee, where every wei went, and what a validator says. */

import { placeText } from '../../../attribution/pass-place.ts'
import { ShareBar } from '../chart/bars.tsx'
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { VerdictBadge } from '../components/receipts.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Amount, BlockLink, Hash } from '../components/value.tsx'
import { integer, open, percent } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import type { ReceiptView } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'

export default function Receipt({ params }: PageProps) {
  const { hash = '' } = params
  const valid = /^0x[0-9a-fA-F]{64}$/.test(hash)
  const receipt = useCall<ReceiptView | null>(
    'openledger_getReceipt',
    valid ? [hash] : null,
    'block',
  )
  return (
    <Page
      title="Receipt"
      lead={<span class="mono wrap">{hash}</span>}
      crumb={{ href: '/receipts', text: 'Receipts' }}
    >
      {valid ? (
        <Show
          of={receipt}
          rows={8}
          what="receipt"
          empty={
            <Empty title="No such receipt was settled">
              A receipt settles a few seconds after its answer.
            </Empty>
          }
        >
          {(data) => <Details receipt={data} />}
        </Show>
      ) : (
        <Empty title="That is no receipt's hash">0x and 64 digits.</Empty>
      )}
    </Page>
  )
}

const SHARES = [
  ['contributors', 'Contributors'],
  ['modelOwner', 'Model owner'],
  ['stakers', 'Stakers'],
  ['platform', 'Platform'],
] as const

/** Differences of a model, in every receipt of it. */
const MODEL_STAGES: readonly string[] = ['table', 'training']

function Details({ receipt }: { receipt: ReceiptView }) {
  const { verdict, shares, contributors } = receipt
  const difference = verdict?.difference
  return (
    <>
      {difference ? (
        <Notice tone="bad">
          {MODEL_STAGES.includes(difference.stage)
            ? 'This receipt is wrong because its model is. Validators report such receipts on chain, the largest fees first, and what a reported one paid is held. '
            : ''}
          The validator disagrees at {difference.stage} {difference.field}
          {difference.index === undefined ? '' : ` ${difference.index}`}
          {difference.at ? `, which comes from ${placeText(difference.at)}` : ''}: claimed{' '}
          {difference.claimed}, found {difference.found}.
        </Notice>
      ) : null}
      <Card title="Where the fee went" more={<Amount wei={receipt.fee} />}>
        <ShareBar
          label="Shares of the fee"
          parts={SHARES.map(([key, label]) => ({
            label,
            value: Number(shares[key]),
            text: `${open(shares[key])} OPEN`,
          }))}
        />
      </Card>
      <Card>
        <Facts>
          <Fact label="Verdict">
            <VerdictBadge verdict={verdict} />
            {verdict ? (
              <span class="muted">
                {' '}
                by <Address value={verdict.validator} />
              </span>
            ) : null}
          </Fact>
          <Fact label="Model">
            {receipt.modelName ?? <Hash value={receipt.modelId} kind="plain" copy />}
          </Fact>
          <Fact label="Tokens">
            <span class="num">
              {integer(receipt.tokensIn)} in, {integer(receipt.tokensOut)} out
            </span>
          </Fact>
          <Fact label="Payer">
            <Address value={receipt.payer} copy />
          </Fact>
          <Fact label="Provider">
            <Address value={receipt.provider} copy />
          </Fact>
          <Fact label="Settled in">
            block <BlockLink number={receipt.block.number} />,{' '}
            <Hash value={receipt.transaction} kind="tx" />
          </Fact>
        </Facts>
      </Card>
      <Card title="People whose data shaped the answer" more={integer(contributors.length)} flush>
        <Table
          caption="Contributors by share"
          rows={contributors}
          rowKey={({ account }) => account}
          columns={[
            { head: 'Account', cell: ({ account }) => <Address value={account} /> },
            { head: 'Share', align: 'right', cell: ({ share }) => percent(share, 2) },
            {
              head: 'Part',
              narrow: false,
              cell: ({ share }) => (
                <meter class="meter" min={0} max={contributors[0]?.share ?? 1} value={share}>
                  {percent(share)}
                </meter>
              ),
            },
            { head: 'Paid', align: 'right', cell: ({ amount }) => <Amount wei={amount} /> },
          ]}
        />
      </Card>
    </>
  )
}
