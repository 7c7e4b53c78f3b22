/** Settled inferences in a table. */
import { integer } from '../lib/format.ts'
import type { ReceiptView } from '../lib/types.ts'
import { type Column, Table } from './table.tsx'
import { Address, Amount, Badge, BlockLink, Hash } from './value.tsx'

export function VerdictBadge({ verdict }: { verdict: ReceiptView['verdict'] }) {
  if (!verdict) return <Badge>not judged yet</Badge>
  return verdict.ok ? <Badge tone="good">verified</Badge> : <Badge tone="bad">mismatch</Badge>
}

const BRIEF: readonly Column<ReceiptView>[] = [
  { head: 'Receipt', cell: ({ receiptHash }) => <Hash value={receiptHash} kind="receipt" /> },
  {
    head: 'Model',
    cell: ({ modelName, modelId }) => modelName ?? <Hash value={modelId} kind="plain" />,
  },
  { head: 'Fee', align: 'right', cell: ({ fee }) => <Amount wei={fee} /> },
  { head: 'Verdict', cell: ({ verdict }) => <VerdictBadge verdict={verdict} /> },
]

const FULL: readonly Column<ReceiptView>[] = [
  ...BRIEF.slice(0, 3),
  {
    head: 'Tokens',
    align: 'right',
    cell: ({ tokensIn, tokensOut }) => `${integer(tokensIn)} → ${integer(tokensOut)}`,
  },
  { head: 'Payer', narrow: false, cell: ({ payer }) => <Address value={payer} /> },
  {
    head: 'Contributors',
    align: 'right',
    cell: ({ contributors }) => integer(contributors.length),
  },
  {
    head: 'Block',
    align: 'right',
    narrow: false,
    cell: ({ block }) => <BlockLink number={block.number} />,
  },
  BRIEF[3] as Column<ReceiptView>,
]

export function ReceiptTable({
  rows,
  brief = false,
}: {
  rows: readonly ReceiptView[]
  brief?: boolean
}) {
  return (
    <Table
      caption="Receipts, newest first"
      columns={brief ? BRIEF : FULL}
      rows={rows}
      rowKey={({ receiptHash }) => receiptHash}
    />
  )
}
