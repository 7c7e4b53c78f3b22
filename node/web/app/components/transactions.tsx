/** Transactions in a table, and the foot of a search back through blocks. */
import { integer } from '../lib/format.ts'
import type { Found, Scan } from '../lib/scan.ts'
import type { TransactionJson } from '../lib/types.ts'
import { Empty, Failure, Loading } from './state.tsx'
import { type Column, Table } from './table.tsx'
import { Address, Age, Amount, Badge, BlockLink, Hash } from './value.tsx'

const KINDS: Readonly<Record<string, string>> = {
  '0x0': 'legacy',
  '0x1': 'access list',
  '0x2': 'EIP-1559',
  '0x4': 'set code',
  '0x7e': 'deposit',
}

export const kindOf = ({ type }: Pick<TransactionJson, 'type'>): string =>
  KINDS[type] ?? `type ${type}`

export function TransactionKind({ tx }: { tx: TransactionJson }) {
  return <Badge tone={tx.type === '0x7e' ? 'accent' : 'neutral'}>{kindOf(tx)}</Badge>
}

const HASH: Column<Found> = {
  head: 'Transaction',
  cell: ({ tx }) => <Hash value={tx.hash} kind="tx" />,
}
const REST: readonly Column<Found>[] = [
  { head: 'Kind', cell: ({ tx }) => <TransactionKind tx={tx} /> },
  { head: 'From', cell: ({ tx }) => <Address value={tx.from} /> },
  {
    head: 'To',
    cell: ({ tx }) => (tx.to ? <Address value={tx.to} /> : <span class="muted">new contract</span>),
  },
  { head: 'Value', align: 'right', cell: ({ tx }) => <Amount wei={tx.value} /> },
]
const PLACE: readonly Column<Found>[] = [
  {
    head: 'Block',
    align: 'right',
    narrow: false,
    cell: ({ tx }) => <BlockLink number={tx.blockNumber ?? 0} />,
  },
  { head: 'Age', cell: ({ timestamp }) => <Age at={timestamp} /> },
]

/** `inBlock`: without the columns that would all say the same. */
export function TransactionTable({
  rows,
  inBlock = false,
}: {
  rows: readonly Found[]
  inBlock?: boolean
}) {
  return (
    <Table
      caption="Transactions, newest first"
      columns={inBlock ? [HASH, ...REST] : [HASH, ...PLACE, ...REST]}
      rows={rows}
      rowKey={({ tx }) => tx.hash}
    />
  )
}

/** What was found so far, how far back that is, and a way further. */
export function ScanResult({
  scan,
  what,
  table: Shown = TransactionTable,
}: {
  scan: Scan
  /** `deposits`, as in "No deposits". */
  what: string
  table?: (props: { rows: readonly Found[] }) => preact.JSX.Element
}) {
  const { found, oldest, busy, ended, error, more } = scan
  return (
    <>
      {found.length > 0 ? <Shown rows={found} /> : null}
      {error ? <Failure error={error} retry={more} /> : null}
      {found.length === 0 && busy ? <Loading rows={5} what={what} /> : null}
      {found.length === 0 && !busy && !error ? (
        <Empty title={ended ? `No ${what} on this chain yet` : `No ${what} in the newest blocks`} />
      ) : null}
      {oldest === null ? null : (
        <div class="pager">
          <span class="muted num">
            {ended ? 'Every block was looked at' : `Looked back to block ${integer(oldest)}`}
          </span>
          <button type="button" class="button quiet" disabled={busy || ended} onClick={more}>
            {busy ? 'Looking…' : 'Look further back'}
          </button>
        </div>
      )}
    </>
  )
}
