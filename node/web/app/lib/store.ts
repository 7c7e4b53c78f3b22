/** One value that components follow: the smallest thing that shares state between pages. */
import { useEffect, useState } from 'preact/hooks'

export type Store<T> = {
  get(): T
  set(next: T): void
  /** Calls `listener` after each change, until the returned function is called. */
  on(listener: (value: T) => void): () => void
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial
  const listeners = new Set<(value: T) => void>()
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return
      value = next
      for (const listener of [...listeners]) listener(next)
    },
    on: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(() => store.get())
  useEffect(() => {
    setValue(() => store.get())
    return store.on((next) => setValue(() => next))
  }, [store])
  return value
}
