/** Blocks in a table. */
import { gwei, integer, percent } from '../lib/format.ts'
import type { WithHashes } from '../lib/types.ts'
import { type Column, Table } from './table.tsx'
import { Age, BlockLink, Hash } from './value.tsx'

const gasPart = ({ gasUsed, gasLimit }: WithHashes): number => Number(gasUsed) / Number(gasLimit)

const BRIEF: readonly Column<WithHashes>[] = [
  { head: 'Block', cell: ({ number }) => <BlockLink number={number} /> },
  { head: 'Age', cell: ({ timestamp }) => <Age at={Number(timestamp)} /> },
  {
    head: 'Transactions',
    align: 'right',
    cell: ({ transactions }) => integer(transactions.length),
  },
  {
    head: 'Gas used',
    align: 'right',
    cell: ({ gasUsed }) => integer(gasUsed),
  },
]

const FULL: readonly Column<WithHashes>[] = [
  ...BRIEF,
  { head: 'Of limit', align: 'right', narrow: false, cell: (block) => percent(gasPart(block), 2) },
  {
    head: 'Base fee',
    align: 'right',
    narrow: false,
    cell: ({ baseFeePerGas }) => gwei(baseFeePerGas),
  },
  { head: 'Size', align: 'right', narrow: false, cell: ({ size }) => `${integer(size)} B` },
  { head: 'Hash', narrow: false, cell: ({ hash }) => <Hash value={hash} kind="block" /> },
]

export function BlockTable({
  rows,
  brief = false,
}: {
  rows: readonly WithHashes[]
  brief?: boolean
}) {
  return (
    <Table
      caption="Blocks, newest first"
      columns={brief ? BRIEF : FULL}
      rows={rows}
      rowKey={({ hash }) => hash}
    />
  )
}
