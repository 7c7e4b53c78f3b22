/** /withdrawals: what left for L1, and how far each is. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Amount, BlockLink, Hash } from '../components/value.tsx'
import { integer } from '../lib/format.ts'
import { useQuery } from '../lib/hooks.ts'
import { LOG_BLOCKS } from '../lib/logs.ts'
import { newestWithdrawals } from '../lib/withdrawals.ts'

export default function Withdrawals() {
  const list = useQuery('withdrawals', () => newestWithdrawals(), 'block')
  return (
    <Page
      title="Withdrawals"
      lead="Messages from this chain to L1. Each is proven there against an output root, and paid when nobody has disputed it in time."
      actions={
        <a class="button quiet" href="/bridge?tab=withdraw">
          Withdraw
        </a>
      }
    >
      <ExplorerNav />
      <Card title="Newest" more={`of the newest ${integer(LOG_BLOCKS)} blocks`} flush>
        <Show
          of={list}
          rows={5}
          what="withdrawals"
          empty={<Empty title="Nothing was withdrawn lately" />}
        >
          {(rows) => (
            <Table
              caption="Withdrawals, newest first"
              rows={rows}
              rowKey={({ hash }) => hash}
              columns={[
                {
                  head: 'Transaction',
                  cell: ({ transaction }) => <Hash value={transaction} kind="tx" />,
                },
                {
                  head: 'Block',
                  align: 'right',
                  cell: ({ block }) => <BlockLink number={block} />,
                },
                { head: 'From', cell: ({ sender }) => <Address value={sender} /> },
                { head: 'To on L1', cell: ({ target }) => <Hash value={target} kind="plain" /> },
                { head: 'Value', align: 'right', cell: ({ value }) => <Amount wei={value} /> },
                {
                  head: 'Withdrawal hash',
                  narrow: false,
                  cell: ({ hash }) => <Hash value={hash} kind="plain" copy />,
                },
              ]}
            />
          )}
        </Show>
      </Card>
    </Page>
  )
}
