/** Parts of a whole as one bar with its legend, or a small row of bars: plain SVG, no library. */
export type Part = { readonly label: string; readonly value: number; readonly text?: string }

/** A bar cut in proportion, and what each part is. */
export function ShareBar({ label, parts }: { label: string; parts: readonly Part[] }) {
  const total = parts.reduce((sum, { value }) => sum + value, 0)
  let at = 0
  return (
    <figure class="share-bar">
      <svg viewBox="0 0 1000 12" preserveAspectRatio="none" role="img" aria-label={label}>
        {parts.map(({ label: name, value }, i) => {
          const width = total === 0 ? 0 : (value / total) * 1000
          const x = at
          at += width
          return (
            <rect key={name} class={`fill-${(i % 8) + 1}`} x={x} y={0} width={width} height={12} />
          )
        })}
      </svg>
      <figcaption>
        {parts.map(({ label: name, value, text }, i) => (
          <span key={name} class="legend">
            <span class={`swatch fill-${(i % 8) + 1}`} aria-hidden="true" />
            {name} <span class="num muted">{text ?? value}</span>
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

/** Heights of the newest values, without axes: how something goes. */
export function Sparkline({ label, values }: { label: string; values: readonly number[] }) {
  const most = Math.max(1e-9, ...values)
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${values.length * 4} 24`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {values.map((value, i) => {
        const height = Math.max(0.75, (value / most) * 24)
        return <rect key={i} x={i * 4} y={24 - height} width={3} height={height} />
      })}
    </svg>
  )
}
