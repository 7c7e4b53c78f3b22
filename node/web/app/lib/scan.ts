/**
 * Transactions found by going back through blocks: the node keeps no index by account or kind. Goes on until a page is full, the
 * chain begins, or a bound is reached and the person wants more.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { L1_ATTRIBUTES_DEPOSITOR } from '../../../../genesis/addresses.ts'
import { call } from './rpc.ts'
import type { TransactionJson, WithTransactions } from './types.ts'

export type Found = { readonly tx: TransactionJson; readonly timestamp: number }

export type Scan = {
  readonly found: readonly Found[]
  /** The oldest block looked at; null before the first. */
  readonly oldest: number | null
  readonly busy: boolean
  /** The chain's first block was reached. */
  readonly ended: boolean
  readonly error: Error | undefined
  /** Looks further back. */
  more(): void
}

const STEP = 50
const BLOCKS_PER_TURN = 1_000

/** The deposit that begins every block is nobody's. */
export const isPersons = ({ from }: TransactionJson): boolean => from !== L1_ATTRIBUTES_DEPOSITOR

/** `key` names what `wanted` looks for. */
export function useScan(
  key: string,
  wanted: (tx: TransactionJson) => boolean,
  pageSize = 25,
): Scan {
  const [state, setState] = useState<Omit<Scan, 'more'>>(EMPTY)
  const test = useRef(wanted)
  test.current = wanted
  const turn = useRef(0)
  const current = useRef(EMPTY)
  const go = useCallback(async () => {
    const mine = ++turn.current
    const set = (next: Omit<Scan, 'more'>): void => {
      current.current = next
      setState(next)
    }
    set({ ...current.current, busy: true, error: undefined })
    try {
      const already = current.current.found.length
      let { oldest } = current.current
      let top = oldest === null ? Number(await call<string>('eth_blockNumber')) : oldest - 1
      for (let looked = 0; looked < BLOCKS_PER_TURN && top >= 0; looked += STEP) {
        const numbers = Array.from({ length: Math.min(STEP, top + 1) }, (_, i) => top - i)
        const blocks = await Promise.all(
          numbers.map((number) =>
            call<WithTransactions | null>('eth_getBlockByNumber', `0x${number.toString(16)}`, true),
          ),
        )
        if (mine !== turn.current) return
        oldest = numbers.at(-1) as number
        top = oldest - 1
        const found = blocks.flatMap((block) =>
          (block?.transactions ?? [])
            .filter((tx) => test.current(tx))
            .map((tx) => ({ tx, timestamp: Number(block?.timestamp) }))
            .reverse(),
        )
        set({ ...current.current, found: [...current.current.found, ...found], oldest })
        if (current.current.found.length - already >= pageSize) break
      }
      set({ ...current.current, busy: false, ended: top < 0 })
    } catch (error) {
      if (mine === turn.current) set({ ...current.current, busy: false, error: error as Error })
    }
  }, [pageSize])
  useEffect(() => {
    current.current = EMPTY
    void go()
    return () => {
      turn.current++
    }
  }, [key, go])
  return { ...state, more: go }
}

const EMPTY: Omit<Scan, 'more'> = {
  found: [],
  oldest: null,
  busy: false,
  ended: false,
  error: undefined,
}
