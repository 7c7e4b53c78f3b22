/** /deposits: what came from L1, forced in by the portal. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Table } from '../components/table.tsx'
import { ScanResult } from '../components/transactions.tsx'
import { Address, Age, Amount, BlockLink, Hash } from '../components/value.tsx'
import { type Found, isPersons, useScan } from '../lib/scan.ts'

export default function Deposits() {
  const scan = useScan('deposits', (tx) => tx.type === '0x7e' && isPersons(tx))
  return (
    <Page
      title="Deposits"
      lead="Made on L1, and part of this chain whether the sequencer likes it or not. OPEN locked in the portal is minted here."
      actions={
        <a class="button quiet" href="/bridge">
          Make a deposit
        </a>
      }
    >
      <ExplorerNav />
      <Card flush>
        <ScanResult scan={scan} what="deposits" table={DepositTable} />
      </Card>
    </Page>
  )
}

function DepositTable({ rows }: { rows: readonly Found[] }) {
  return (
    <Table
      caption="Deposits, newest first"
      rows={rows}
      rowKey={({ tx }) => tx.hash}
      columns={[
        { head: 'Deposit', cell: ({ tx }) => <Hash value={tx.hash} kind="tx" /> },
        {
          head: 'Block',
          align: 'right',
          cell: ({ tx }) => <BlockLink number={tx.blockNumber ?? 0} />,
        },
        { head: 'Age', cell: ({ timestamp }) => <Age at={timestamp} /> },
        { head: 'From', narrow: false, cell: ({ tx }) => <Address value={tx.from} /> },
        { head: 'To', cell: ({ tx }) => (tx.to ? <Address value={tx.to} /> : 'new contract') },
        { head: 'Minted', align: 'right', cell: ({ tx }) => <Amount wei={tx.mint ?? '0'} /> },
        {
          head: 'Sent on',
          align: 'right',
          narrow: false,
          cell: ({ tx }) => <Amount wei={tx.value} />,
        },
        {
          head: 'Source',
          narrow: false,
          cell: ({ tx }) => <Hash value={tx.sourceHash ?? '0x'} kind="plain" />,
        },
      ]}
    />
  )
}
