/** Short messages in the corner: what was done, what went wrong. */
import { createStore, type Store } from './store.ts'

export type Toast = {
  readonly id: number
  readonly kind: 'good' | 'bad' | 'info'
  readonly text: string
  /** Where to look further. */
  readonly href?: string
}

const SHOWN_MS = 8_000
const SHOWN_MAX = 4
let lastId = 0

export const toasts: Store<readonly Toast[]> = createStore<readonly Toast[]>([])

export function toast(kind: Toast['kind'], text: string, href?: string): void {
  const id = ++lastId
  toasts.set([...toasts.get(), { id, kind, text, ...(href && { href }) }].slice(-SHOWN_MAX))
  // An error stays until it is read.
  if (kind !== 'bad') setTimeout(() => dismiss(id), SHOWN_MS)
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((one) => one.id !== id))
}
