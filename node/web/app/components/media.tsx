/** Pictures and sounds that rows name, as the node serves them (`/media`), and the tier that such rows belong to. */
import { useState } from 'preact/hooks'
import { kindOf, type Media, type Tier } from '../../../datanet/media.ts'
import type { Row } from '../../../datanet/rows.ts'
import { bytes } from '../lib/format.ts'
import { Badge } from './value.tsx'

/** `text`: what the row says of it, its caption or transcript. */
export function MediaOf({ media, text }: { media: Media; text: string }) {
  const [isBroken, setBroken] = useState(false)
  const src = `/media/${media.hash}`
  const note = `${media.type}, ${bytes(media.bytes)}`
  if (isBroken)
    return <p class="small muted">{note}: not to be had here, or not what its row says.</p>
  return kindOf(media.type) === 'image' ? (
    <a class="media" href={src} title={note} target="_blank" rel="noreferrer">
      <img src={src} alt={text} loading="lazy" onError={() => setBroken(true)} />
    </a>
  ) : (
    // biome-ignore lint/a11y/useMediaCaption: the row's text beside it is the transcript
    <audio
      class="media"
      src={src}
      controls
      preload="metadata"
      title={note}
      aria-label={text}
      onError={() => setBroken(true)}
    />
  )
}

/** A row as it was given. */
export function RowShown({ row }: { row: Row | null }) {
  if (!row) return <p class="muted">The row is private.</p>
  return (
    <>
      {row.media ? <MediaOf media={row.media} text={row.text} /> : null}
      <blockquote class="row-text">{row.text}</blockquote>
    </>
  )
}

/** Nothing for rows of the full tier. */
export function TierBadge({ tier }: { tier: Tier }) {
  if (tier === 'full') return null
  return <Badge tone="warn">retrieval only</Badge>
}

export const TIER_HINT =
  'A picture or sound is found by its caption and paid for being read. Nothing is trained on it, so nothing is known of what it taught: the weaker tier of attribution.'
