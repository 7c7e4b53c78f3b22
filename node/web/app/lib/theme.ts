/** Light, dark, or as the system says: kept in this browser, shown as `data-theme` on the root. */
import { createStore, type Store } from './store.ts'

export type Theme = 'auto' | 'light' | 'dark'
const KEY = 'theme'

const kept = (): Theme => {
  const value = localStorage.getItem(KEY)
  return value === 'light' || value === 'dark' ? value : 'auto'
}

export const theme: Store<Theme> = createStore<Theme>(kept())

export function setTheme(next: Theme): void {
  if (next === 'auto') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, next)
  theme.set(next)
}

export function startTheme(): void {
  const apply = (value: Theme): void => {
    document.documentElement.dataset.theme = value
  }
  apply(theme.get())
  theme.on(apply)
  // Another tab changed it.
  addEventListener('storage', ({ key }) => {
    if (key === KEY) theme.set(kept())
  })
}
