/** What pages are made of: a page with its head, cards, tiles of figures, definition lists, tabs, pager, progress. */
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { useTitle } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'
import { Icon } from './icon.tsx'

/** A page: sets the document's title and holds its only h1. */
export function Page({
  title,
  lead,
  actions,
  crumb,
  children,
}: {
  title: string
  /** A sentence on what this page is for. */
  lead?: ComponentChildren
  actions?: ComponentChildren
  /** Where this page hangs: `{ href: '/blocks', text: 'Blocks' }`. */
  crumb?: { readonly href: string; readonly text: string }
  children: ComponentChildren
}) {
  useTitle(title)
  return (
    <article class="page">
      <header class="page-head">
        <div>
          {crumb ? (
            <a class="crumb" href={crumb.href}>
              <Icon name="back" size={13} /> {crumb.text}
            </a>
          ) : null}
          <h1>{title}</h1>
          {lead ? <p class="lead">{lead}</p> : null}
        </div>
        {actions ? <div class="actions">{actions}</div> : null}
      </header>
      {children}
    </article>
  )
}

export function Card({
  title,
  more,
  flush = false,
  children,
}: {
  title?: string
  /** At the right of the title: a link, a count. */
  more?: ComponentChildren
  /** No inner margin: for tables. */
  flush?: boolean
  children: ComponentChildren
}) {
  return (
    <section class={`card${flush ? ' flush' : ''}`}>
      {title ? (
        <header class="card-head">
          <h2>{title}</h2>
          {more ? <div class="card-more">{more}</div> : null}
        </header>
      ) : null}
      <div class="card-body">{children}</div>
    </section>
  )
}

/** Figures in a row. */
export function Stats({ children }: { children: ComponentChildren }) {
  return <dl class="stats">{children}</dl>
}

export function Stat({
  label,
  children,
  note,
}: {
  label: string
  children: ComponentChildren
  note?: ComponentChildren
}) {
  return (
    <div class="stat">
      <dt>{label}</dt>
      <dd class="stat-value">{children}</dd>
      {note ? <dd class="stat-note">{note}</dd> : null}
    </div>
  )
}

/** `<Facts><Fact label="Gas">21,000</Fact></Facts>`: names at the left, values at the right. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>
}

export function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  )
}

export type Tab = {
  readonly id: string
  readonly label: string
  readonly count?: number | undefined
  readonly content: () => ComponentChildren
}

/** The chosen tab is in the address (`?tab=`), so that reload and links keep it. Arrow keys move. */
export function Tabs({
  label,
  tabs,
  query = 'tab',
}: {
  label: string
  tabs: readonly Tab[]
  query?: string
}) {
  const place = usePlace()
  const list = useRef<HTMLDivElement>(null)
  const chosen = tabs.find(({ id }) => id === place.query.get(query)) ?? (tabs[0] as Tab)
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    const at = (tabs.indexOf(chosen) + step + tabs.length) % tabs.length
    setQuery(query, tabs[at]?.id ?? null)
    list.current?.querySelectorAll('button')[at]?.focus()
  }
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {tabs.map(({ id, label: text, count }) => (
          <button
            key={id}
            type="button"
            role="tab"
            id={`${query}-${id}`}
            aria-selected={id === chosen.id}
            aria-controls={`${query}-panel`}
            tabIndex={id === chosen.id ? 0 : -1}
            onClick={() => setQuery(query, id)}
          >
            {text}
            {count === undefined ? null : <span class="count num">{count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${query}-panel`} aria-labelledby={`${query}-${chosen.id}`}>
        {chosen.content()}
      </div>
    </div>
  )
}

/** `part` 0 to 1; null while nobody knows. */
export function Progress({ part, label }: { part: number | null; label: string }) {
  return part === null ? (
    <progress class="progress" aria-label={label} />
  ) : (
    <progress class="progress" aria-label={label} value={part} max={1} />
  )
}

/** Newer and older, or what `words` calls them; a missing one is off. */
export function Pager({
  newer,
  older,
  at,
  words: [before, after] = ['Newer', 'Older'],
}: {
  words?: readonly [string, string]
  newer?: (() => void) | undefined
  older?: (() => void) | undefined
  at: ComponentChildren
}) {
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" class="button quiet" disabled={!newer} onClick={newer}>
        <Icon name="back" size={14} /> {before}
      </button>
      <span class="muted num">{at}</span>
      <button type="button" class="button quiet" disabled={!older} onClick={older}>
        {after} <Icon name="arrow" size={14} />
      </button>
    </nav>
  )
}
