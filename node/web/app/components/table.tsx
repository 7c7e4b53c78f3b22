/**
 * A table of rows by columns. Below 640 px each row becomes a small list of names and values, without the columns marked
 * `narrow: false`; nothing scrolls sideways.
 */
import type { ComponentChildren } from 'preact'

export type Column<Row> = {
  readonly head: string
  readonly cell: (row: Row) => ComponentChildren
  readonly align?: 'right'
  /** Whether it stays on a narrow screen; yes unless told otherwise. */
  readonly narrow?: false
}

export function Table<Row>({
  caption,
  columns,
  rows,
  rowKey,
  rowClass,
}: {
  /** For those who hear the table. */
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  rowKey: (row: Row) => string | number
  rowClass?: (row: Row) => string
}) {
  const classOf = ({ align, narrow }: Column<Row>): string =>
    `${align === 'right' ? 'right' : ''}${narrow === false ? ' wide-only' : ''}`
  return (
    <table class="table">
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.head} scope="col" class={classOf(column)}>
              {column.head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={rowKey(row)} class={rowClass?.(row) ?? ''}>
            {columns.map((column) => (
              <td key={column.head} data-label={column.head} class={classOf(column)}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
