/** The L1 block that an L2 block was made from: in its first transaction, the L1 attributes deposit (Isthmus layout, specs: l1-attributes). */
import type { Hex, TransactionJson } from './types.ts'

const SELECTOR_ISTHMUS = '098999be'

export function originOf(tx: TransactionJson | undefined): { number: number; hash: Hex } | null {
  const data = tx?.input.slice(2) ?? ''
  if (!data.startsWith(SELECTOR_ISTHMUS)) return null
  const at = (from: number, length: number): string => data.slice(from * 2, (from + length) * 2)
  // selector 4 | scalars 4 + 4 | sequence number 8 | timestamp 8 | number 8 | base fee 32 | blob base fee 32 | hash 32
  return { number: Number(`0x${at(28, 8)}`), hash: `0x${at(100, 32)}` }
}
