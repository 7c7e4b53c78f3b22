/**
 * Where the person is: the path and query of the address bar, and the links that change it without a reload. A page is
 * named by a pattern such as `/block/:id`; plain `<a href>` is the only link there is, so that middle click, copy
 * and "open in new tab" work.
 */
import { createStore, type Store, useStore } from './store.ts'

export type Place = { readonly path: string; readonly query: URLSearchParams }

const here = (): Place => ({
  path: location.pathname.replace(/(.)\/+$/, '$1'),
  query: new URLSearchParams(location.search),
})

export const place: Store<Place> = createStore(here())

export const usePlace = (): Place => useStore(place)

/** Goes to a page of the app. `replace` keeps the back button where it was: for filters and tabs. */
export function navigate(href: string, how: { replace?: boolean } = {}): void {
  const samePath = new URL(href, location.href).pathname === location.pathname
  if (how.replace) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  place.set(here())
  if (!samePath) scrollTo(0, 0)
}

/** One part of the query set, or taken away by null; the rest stays. */
export function setQuery(name: string, value: string | null): void {
  const query = new URLSearchParams(location.search)
  if (value === null) query.delete(name)
  else query.set(name, value)
  const text = query.toString()
  navigate(`${location.pathname}${text ? `?${text}` : ''}`, { replace: true })
}

/** Parameters of `pattern` in `path`, or null. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const [wanted, found] = [pattern.split('/'), path.split('/')]
  if (wanted.length !== found.length) return null
  const params: Record<string, string> = {}
  for (const [i, part] of wanted.entries()) {
    const value = found[i] as string
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(value)
      } catch {
        return null
      }
    } else if (part !== value) return null
  }
  return params
}

export function startRouter(): void {
  addEventListener('popstate', () => place.set(here()))
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element).closest('a')
    if (!link || link.target || link.origin !== location.origin) return
    if (link.hasAttribute('download') || link.getAttribute('href')?.startsWith('#')) return
    event.preventDefault()
    navigate(link.href)
  })
}
