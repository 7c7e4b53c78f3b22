/** Single values: amounts, addresses, hashes, times. Each shows itself short and tells all of itself on hover. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { age, dateTime, exactOpen, integer, open, short } from '../lib/format.ts'
import { useNow } from '../lib/hooks.ts'
import { nameOf } from '../lib/names.ts'
import { Icon } from './icon.tsx'

/** wei of OPEN; on hover exact, and in wei. `unit` another token's symbol. */
export function Amount({ wei, unit = 'OPEN' }: { wei: bigint | string; unit?: string }) {
  return (
    <data class="num" value={String(wei)} title={`${exactOpen(wei)} ${unit} = ${integer(wei)} wei`}>
      {open(wei)} <span class="unit">{unit}</span>
    </data>
  )
}

/** Links to the account's page; known contracts and devnet accounts by name. `me`: what to say of one's own. */
export function Address({
  value,
  copy = false,
  full = false,
}: {
  value: string
  copy?: boolean
  full?: boolean
}) {
  const name = nameOf(value)
  return (
    <span class="ref">
      <a href={`/address/${value}`} title={value} class={name && !full ? '' : 'mono'}>
        {full ? value : (name ?? short(value, 6, 4))}
      </a>
      {full && name ? <span class="muted">{name}</span> : null}
      {copy ? <Copy text={value} what="address" /> : null}
    </span>
  )
}

/** A transaction's or block's hash, linked; `plain` for other hashes. */
export function Hash({
  value,
  kind,
  copy = false,
  full = false,
}: {
  value: string
  kind: 'tx' | 'block' | 'receipt' | 'plain'
  copy?: boolean
  full?: boolean
}) {
  const text = full ? value : short(value)
  return (
    <span class="ref mono">
      {kind === 'plain' ? (
        <span title={value}>{text}</span>
      ) : (
        <a href={`/${kind}/${value}`} title={value}>
          {text}
        </a>
      )}
      {copy ? <Copy text={value} what="hash" /> : null}
    </span>
  )
}

export function BlockLink({ number }: { number: number | bigint | string }) {
  return (
    <a class="num" href={`/block/${BigInt(number)}`}>
      {integer(number)}
    </a>
  )
}

/** `12 s ago`, kept up to date; the date on hover. Seconds since 1970. */
export function Age({ at }: { at: number }) {
  const now = useNow()
  return (
    <time class="num nowrap" dateTime={new Date(at * 1000).toISOString()} title={dateTime(at)}>
      {age(at, now)}
    </time>
  )
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return undefined
    const timer = setTimeout(() => setDone(false), 1_500)
    return () => clearTimeout(timer)
  }, [done])
  return (
    <button
      type="button"
      class="icon-button small"
      aria-label={done ? 'copied' : `copy ${what}`}
      title={done ? 'copied' : `copy ${what}`}
      onClick={() =>
        navigator.clipboard.writeText(text).then(
          () => setDone(true),
          () => {},
        )
      }
    >
      <Icon name={done ? 'check' : 'copy'} />
    </button>
  )
}

export type Tone = 'neutral' | 'good' | 'bad' | 'warn' | 'accent'

export function Badge({
  tone = 'neutral',
  children,
}: {
  tone?: Tone
  children: ComponentChildren
}) {
  return <span class={`badge ${tone}`}>{children}</span>
}
