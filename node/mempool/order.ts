/**
 * The order in which a builder sees the pool: highest effective tip first, within one account by
 * nonce, among equals the one that came first. Pure: a list per account in, a lazy sequence out.
 *
 *   accounts' next transactions -> heap by tip -> take best -> its account's next one enters the heap
 *
 * An account whose next transaction cannot pay the base fee is left out from there on.
 */
import { effectiveGasPrice, type SignedTx } from '../chain/tx.ts'

export type Ordered = { readonly tx: SignedTx /** Order of arrival. */; readonly sequence: number }

/** wei per gas the block's producer gets; null when the fee cap is below the base fee. */
export function effectiveTip(tx: SignedTx, baseFee: bigint): bigint | null {
  return tx.maxFeePerGas < baseFee ? null : effectiveGasPrice(tx, baseFee) - baseFee
}

type Entry<T> = { list: readonly T[]; at: number; tip: bigint; sequence: number }

/** Each list holds one account's transactions that can run, in nonce order. */
export function* bestFirst<T extends Ordered>(
  lists: Iterable<readonly T[]>,
  baseFee: bigint,
): Generator<T, void, void> {
  const heap: Entry<T>[] = []
  for (const list of lists) enter(heap, list, 0, baseFee)
  for (let best = pop(heap); best; best = pop(heap)) {
    yield best.list[best.at] as T
    enter(heap, best.list, best.at + 1, baseFee)
  }
}

function enter<T extends Ordered>(
  heap: Entry<T>[],
  list: readonly T[],
  at: number,
  baseFee: bigint,
): void {
  const next = list[at]
  if (!next) return
  const tip = effectiveTip(next.tx, baseFee)
  if (tip !== null) push(heap, { list, at, tip, sequence: next.sequence })
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.tip === b.tip ? a.sequence < b.sequence : a.tip > b.tip
}

function push<T>(heap: Entry<T>[], entry: Entry<T>): void {
  let at = heap.length
  heap.push(entry)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up] as Entry<T>
    if (!before(entry, parent)) break
    heap[at] = parent
    at = up
  }
  heap[at] = entry
}

function pop<T>(heap: Entry<T>[]): Entry<T> | undefined {
  const best = heap[0]
  const last = heap.pop()
  if (!best || !last || heap.length === 0) return best
  let at = 0
  for (;;) {
    let down = 2 * at + 1
    const [left, right] = [heap[down], heap[down + 1]]
    if (!left) break
    if (right && before(right, left)) down++
    const child = heap[down] as Entry<T>
    if (!before(child, last)) break
    heap[at] = child
    at = down
  }
  heap[at] = last
  return best
}
