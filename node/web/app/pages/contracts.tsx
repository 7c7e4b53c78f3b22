/** /contracts: the chain's own contracts and what each is for. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Table } from '../components/table.tsx'
import { Address, Copy } from '../components/value.tsx'
import { CONTRACTS } from '../lib/contracts.ts'
import { integer } from '../lib/format.ts'

export default function Contracts() {
  return (
    <Page
      title="Contracts"
      lead="Part of the chain from its first block. Their calls and events are shown decoded everywhere."
    >
      <ExplorerNav />
      <Card flush>
        <Table
          caption="Contracts of the chain"
          rows={CONTRACTS}
          rowKey={({ address }) => address}
          columns={[
            { head: 'Contract', cell: ({ address }) => <Address value={address} /> },
            { head: 'For', cell: ({ purpose }) => purpose },
            {
              head: 'Address',
              narrow: false,
              cell: ({ address }) => (
                <span class="ref mono">
                  {address} <Copy text={address} what="address" />
                </span>
              ),
            },
            {
              head: 'Functions',
              align: 'right',
              narrow: false,
              cell: ({ abi }) => integer(abi.filter(({ type }) => type === 'function').length),
            },
            {
              head: 'Events',
              align: 'right',
              narrow: false,
              cell: ({ abi }) => integer(abi.filter(({ type }) => type === 'event').length),
            },
          ]}
        />
      </Card>
    </Page>
  )
}
