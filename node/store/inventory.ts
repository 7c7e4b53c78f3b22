/** What a database holds: rows and bytes of each table. Reads every row once. */
import type { Database } from './database.ts'
import { tableOf } from './tables.ts'

export type TableSize = {
  readonly table: string
  readonly rows: number
  readonly keyBytes: number
  readonly valueBytes: number
}

/** Every key, in order. */
export const ALL_ROWS: {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly reverse: false
  readonly limit: -1
} = { gte: new Uint8Array(0), lt: Uint8Array.of(255), reverse: false, limit: -1 }

/** `onRow` hears of the count now and then; the end is not known before. */
export async function inventory(
  database: Database,
  onRow: (rows: number) => void = () => {},
): Promise<TableSize[]> {
  const sizes = new Map<string, { rows: number; keyBytes: number; valueBytes: number }>()
  let rows = 0
  for await (const [key, value] of database.iterate(ALL_ROWS)) {
    const { table, name } = tableOf(key)
    const id = name === undefined ? table : `${table}/${name}`
    const size = sizes.get(id) ?? { rows: 0, keyBytes: 0, valueBytes: 0 }
    size.rows++
    size.keyBytes += key.length
    size.valueBytes += value.length
    sizes.set(id, size)
    onRow(++rows)
  }
  return [...sizes].map(([table, size]) => ({ table, ...size }))
}
