/** What is shown instead of data: while it loads, when there is none, when it could not be had. */
import type { ComponentChildren } from 'preact'
import type { Loaded } from '../lib/hooks.ts'
import { Icon, type IconName } from './icon.tsx'

/** Grey lines in the shape of what comes. */
export function Loading({ rows = 3, what = 'data' }: { rows?: number; what?: string }) {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">Loading {what}</span>
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} class="skeleton" aria-hidden="true" />
      ))}
    </div>
  )
}

export function Empty({
  title,
  icon = 'inbox',
  children,
}: {
  title: string
  icon?: IconName
  /** What the person can do about it. */
  children?: ComponentChildren
}) {
  return (
    <div class="empty">
      <Icon name={icon} size={24} />
      <p class="empty-title">{title}</p>
      {children ? <div class="muted">{children}</div> : null}
    </div>
  )
}

export function Failure({ error, retry }: { error: Error; retry?: (() => void) | undefined }) {
  return (
    <div class="failure" role="alert">
      <Icon name="warn" size={18} />
      <p>
        {error.message} <Explained error={error} />
      </p>
      {retry ? (
        <button type="button" class="button quiet" onClick={retry}>
          Try again
        </button>
      ) : null}
    </div>
  )
}

/** To the page of its code, when the node gave it one. */
function Explained({ error }: { error: Error }) {
  const { help } = ((error as { data?: unknown }).data ?? {}) as { help?: unknown }
  return typeof help === 'string' ? <a href={help}>What is this?</a> : null
}

/** A notice inside a page. */
export function Notice({
  tone = 'info',
  children,
}: {
  tone?: 'info' | 'warn' | 'bad' | 'good'
  children: ComponentChildren
}) {
  return <div class={`notice ${tone}`}>{children}</div>
}

/**
 * One of the three, or the data. While a newer answer loads the old one stays; an error above old data says so and
 * leaves it.
 */
export function Show<T>({
  of,
  children,
  rows,
  what,
  empty,
}: {
  of: Loaded<T>
  children: (data: NonNullable<T>) => ComponentChildren
  rows?: number
  what?: string
  /** Shown for null, and for an empty list. */
  empty?: ComponentChildren
}) {
  const { data, error, reload } = of
  if (data === undefined) {
    if (error) return <Failure error={error} retry={reload} />
    return <Loading {...(rows !== undefined && { rows })} {...(what !== undefined && { what })} />
  }
  const none = data === null || (Array.isArray(data) && data.length === 0)
  return (
    <>
      {error ? <Failure error={error} retry={reload} /> : null}
      {none ? (empty ?? <Empty title="Nothing here yet" />) : children(data as NonNullable<T>)}
    </>
  )
}
