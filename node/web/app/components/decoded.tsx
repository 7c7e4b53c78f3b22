/** A decoded call or event: its name, and each argument in the form of its type. */

import type { Argument, Decoded } from '../lib/decode.ts'
import { exactOpen, integer } from '../lib/format.ts'
import { Address, Hash } from './value.tsx'

const BYTES_SHOWN = 256

export function DecodedView({ of: { name, args } }: { of: Decoded }) {
  return (
    <div class="decoded">
      <p class="mono decoded-name">{name}</p>
      {args.length > 0 ? (
        <dl class="arguments">
          {args.map((arg) => (
            <div key={arg.name}>
              <dt>
                {arg.name} <span class="muted">{arg.type}</span>
              </dt>
              <dd>
                <Value {...arg} />
              </dd>
            </div>
          ))}
        </dl>
      ) : null}
    </div>
  )
}

function Value({ type, value }: Argument) {
  if (type === 'address') return <Address value={String(value).toLowerCase()} />
  if (type === 'bytes32') return <Hash value={String(value)} kind="plain" copy />
  if (typeof value === 'bigint' || typeof value === 'number')
    return <Quantity value={BigInt(value)} />
  if (typeof value === 'boolean') return <span>{value ? 'yes' : 'no'}</span>
  if (typeof value === 'object') {
    const text = JSON.stringify(
      value,
      (_, part) => (typeof part === 'bigint' ? part.toString() : part),
      1,
    )
    return <code class="wrap">{cut(text)}</code>
  }
  return <code class="wrap">{cut(String(value))}</code>
}

/** A number that looks like wei is also told in OPEN. */
function Quantity({ value }: { value: bigint }) {
  const looksLikeWei = value > 10n ** 12n && value < 10n ** 28n
  return (
    <span class="num wrap">
      {integer(value)}{' '}
      {looksLikeWei ? <span class="muted">({exactOpen(value)} × 10¹⁸)</span> : null}
    </span>
  )
}

const cut = (text: string): string =>
  text.length > BYTES_SHOWN ? `${text.slice(0, BYTES_SHOWN)}… (${text.length} characters)` : text
