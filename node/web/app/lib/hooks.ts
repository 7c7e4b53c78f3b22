/**
 * Data for components. `useCall` reads a method and reads it again when it should; `useQuery` does the same for anything
 * that returns a promise; `useSubscription` follows pushes; `useHead` is the newest block number.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { call, connection, subscribe } from './rpc.ts'
import { createStore, type Store, useStore } from './store.ts'

export type Loaded<T> = {
  /** The last good answer; stays while a newer one is on its way. */
  readonly data: T | undefined
  /** Of the last attempt. */
  readonly error: Error | undefined
  readonly loading: boolean
  reload(): void
}

/** `once`: only when what is asked for changes; `block`: after each block too; a number: every so many ms too. */
export type Refresh = 'once' | 'block' | number

/**
 * Runs `read` when `key` changes and as `refresh` says. `null` as key: not yet. An answer that comes after a newer
 * question is dropped.
 */
export function useQuery<T>(
  key: string | null,
  read: () => Promise<T>,
  refresh: Refresh = 'once',
): Loaded<T> {
  const [state, setState] = useState<{
    key: string | null
    data?: T
    error?: Error
    loading: boolean
  }>({ key, loading: key !== null })
  const latest = useRef(read)
  latest.current = read
  const asked = useRef(0)
  const busy = useRef(false)
  const run = useCallback(() => {
    if (key === null) return
    const turn = ++asked.current
    busy.current = true
    setState((old) => (old.key === key ? { ...old, loading: true } : { key, loading: true }))
    latest.current().then(
      (data) => {
        if (turn !== asked.current) return
        busy.current = false
        setState({ key, data, loading: false })
      },
      (error: unknown) => {
        if (turn !== asked.current) return
        busy.current = false
        const failure = error instanceof Error ? error : new Error(String(error))
        setState((old) => ({ ...old, error: failure, loading: false }))
      },
    )
  }, [key])
  useEffect(() => {
    run()
    return () => {
      asked.current++
      busy.current = false
    }
  }, [run])
  useEffect(() => {
    // A slow answer is waited for: blocks do not pile up questions.
    const again = (): void => {
      if (!busy.current && !document.hidden) run()
    }
    if (refresh === 'block') return head.on(again)
    if (typeof refresh !== 'number') return undefined
    const timer = setInterval(again, refresh)
    return () => clearInterval(timer)
  }, [refresh, run])
  const current = state.key === key ? state : { loading: key !== null }
  return {
    data: 'data' in current ? current.data : undefined,
    error: 'error' in current ? current.error : undefined,
    loading: current.loading,
    reload: run,
  }
}

/** `useCall<Block>('eth_getBlockByNumber', ['latest', false], 'block')`; null as params: not yet. */
export function useCall<T>(
  method: string,
  params: readonly unknown[] | null = [],
  refresh: Refresh = 'once',
): Loaded<T> {
  const key = params && `${method}${JSON.stringify(params)}`
  return useQuery(key, () => call<T>(method, ...(params ?? [])), refresh)
}

/** Follows pushes while the component is shown; null as params: not yet. */
export function useSubscription<T>(
  method: 'eth_subscribe' | 'openledger_subscribe',
  params: readonly unknown[] | null,
  push: (item: T) => void,
): void {
  const latest = useRef(push)
  latest.current = push
  const key = params && JSON.stringify(params)
  useEffect(() => {
    if (key === null) return undefined
    return subscribe<T>(method, JSON.parse(key), (item) => latest.current(item))
  }, [method, key])
}

/** Newest block number of the chain; null until known. Followed by push, and by asking while pushes are lost. */
export const head: Store<number | null> = createStore<number | null>(null)
const HEAD_POLL_MS = 4_000

export const useHead = (): number | null => useStore(head)

export function followHead(): void {
  const ask = (): void => {
    call<string>('eth_blockNumber').then(
      (number) => head.set(Number(number)),
      () => {},
    )
  }
  subscribe<{ number: string }>('eth_subscribe', ['newHeads'], ({ number }) =>
    head.set(Number(number)),
  )
  connection.on(ask)
  setInterval(() => {
    if (connection.get() !== 'up') ask()
  }, HEAD_POLL_MS)
  ask()
}

/** Now in ms, renewed every second while shown: for ages and countdowns. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · OpenLedger`
  }, [title])
}
