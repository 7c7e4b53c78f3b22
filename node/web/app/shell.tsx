/** What surrounds every page: skip link, navigation, search, heads, theme, wallet, messages; and the page of the address. */
import type { ComponentType } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from './components/icon.tsx'
import { Page } from './components/layout.tsx'
import { Search } from './components/search.tsx'
import { Empty, Failure, Loading } from './components/state.tsx'
import { Toasts } from './components/toasts.tsx'
import { integer } from './lib/format.ts'
import { useHead } from './lib/hooks.ts'
import { usePlace } from './lib/router.ts'
import { connection } from './lib/rpc.ts'
import { useStore } from './lib/store.ts'
import { setTheme, type Theme, theme } from './lib/theme.ts'
import { isCurrent, NAVIGATION, type PageProps, routeOf } from './routes.ts'
import { WalletButton } from './wallet/button.tsx'

export function Shell() {
  const { path } = usePlace()
  const [menu, setMenu] = useState(false)
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  useEffect(() => {
    setMenu(false)
    // Those who hear the page are told of a new one; at the first load the browser does it.
    if (first.current) first.current = false
    else main.current?.focus({ preventScroll: true })
  }, [path])
  return (
    <div class={`shell${menu ? ' menu-open' : ''}`}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <aside class="sidebar">
        <div class="brand-row">
          <a class="brand" href="/">
            <Mark /> OpenLedger
          </a>
          <button
            type="button"
            class="icon-button menu-button"
            aria-expanded={menu}
            aria-controls="navigation"
            aria-label={menu ? 'Close menu' : 'Open menu'}
            onClick={() => setMenu(!menu)}
          >
            <Icon name={menu ? 'close' : 'menu'} size={18} />
          </button>
        </div>
        <Navigation path={path} />
        <div class="sidebar-foot">
          <HeadStatus />
          <ThemeSwitch />
        </div>
      </aside>
      <div class="content">
        <header class="topbar">
          <Search />
          <WalletButton />
        </header>
        <main id="main" tabIndex={-1} ref={main}>
          <Outlet path={path} />
        </main>
      </div>
      <Toasts />
    </div>
  )
}

function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
      <path
        d="M11 2.5a8.5 8.5 0 1 0 8.5 8.5"
        fill="none"
        stroke="currentColor"
        stroke-width="2.6"
        stroke-linecap="round"
      />
      <circle cx="17" cy="5" r="2.8" class="mark-dot" />
    </svg>
  )
}

function Navigation({ path }: { path: string }) {
  return (
    <nav id="navigation" class="navigation" aria-label="Main">
      {NAVIGATION.map(({ title, items }) => (
        <div key={title} class="nav-group">
          <p class="nav-title">{title}</p>
          <ul>
            {items.map((item) => (
              <li key={item.href}>
                <a href={item.href} aria-current={isCurrent(item, path) ? 'page' : undefined}>
                  <Icon name={item.icon} /> {item.text}
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  )
}

/** The newest block, and whether it is pushed, asked for, or the node is silent. */
function HeadStatus() {
  const head = useHead()
  const state = useStore(connection)
  const said = { up: 'live', connecting: 'connecting', down: 'reconnecting' }[state]
  return (
    <p class={`head-status ${state}`} role="status" aria-live="off">
      <span class="dot" aria-hidden="true" />
      {head === null ? (
        ''
      ) : (
        <a href={`/block/${head}`} class="num">
          {integer(head)}
        </a>
      )}
      <span class="muted">{said}</span>
    </p>
  )
}

const THEMES: readonly {
  readonly id: Theme
  readonly icon: 'auto' | 'sun' | 'moon'
  readonly text: string
}[] = [
  { id: 'auto', icon: 'auto', text: 'As the system' },
  { id: 'light', icon: 'sun', text: 'Light' },
  { id: 'dark', icon: 'moon', text: 'Dark' },
]

function ThemeSwitch() {
  const current = useStore(theme)
  return (
    <fieldset class="theme-switch">
      <legend class="visually-hidden">Theme</legend>
      {THEMES.map(({ id, icon, text }) => (
        <button
          key={id}
          type="button"
          class="icon-button small"
          aria-pressed={id === current}
          aria-label={text}
          title={text}
          onClick={() => setTheme(id)}
        >
          <Icon name={icon} size={14} />
        </button>
      ))}
    </fieldset>
  )
}

/** The chunk of the page at `path`. One that cannot be fetched, as after an update of the node, can be tried again. */
function Outlet({ path }: { path: string }) {
  const found = routeOf(path)
  const load = found?.route.load
  const [state, setState] = useState<{
    load?: unknown
    page?: ComponentType<PageProps>
    error?: Error
  }>({})
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    if (!load) return undefined
    let left = false
    load().then(
      ({ default: page }) => left || setState({ load, page }),
      (error: Error) => left || setState({ load, error }),
    )
    return () => {
      left = true
    }
  }, [load, attempt])
  if (!found) {
    return (
      <Page title="Not found">
        <Empty title={`There is no page at ${path}`}>
          <a href="/">To the overview</a>
        </Empty>
      </Page>
    )
  }
  if (state.error && state.load === load) {
    return <Failure error={state.error} retry={() => setAttempt(attempt + 1)} />
  }
  // Until the next page's code is here the last one stays.
  const { page: Shown } = state
  if (!Shown || state.load !== load) return <Loading rows={6} what="page" />
  return <Shown key={path} params={found.params} />
}
