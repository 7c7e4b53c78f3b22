/**
 * Lines over sizes as an SVG file: both axes by powers of ten, a panel for each quantity, since what matters is the
 * slope. A flat line costs the same whatever the size; one that climbs as fast as its size is linear.
 */
import { writeFileSync } from 'node:fs'

export type Series = {
  readonly name: string
  readonly points: readonly { readonly size: number; readonly value: number }[]
}
/** One quantity, in one unit. */
export type Panel = { readonly title: string; readonly series: readonly Series[] }

const [WIDTH, HEIGHT, MARGIN, HEAD] = [320, 220, 44, 40]
const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd'] as const

/** @param caption what it was measured on */
export function writePlot(file: string, caption: string, panels: readonly Panel[]): void {
  const width = panels.length * WIDTH
  const body = panels.map((panel, i) => panelOf(panel, i * WIDTH)).join('\n')
  writeFileSync(
    file,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT + HEAD}" font-family="sans-serif" font-size="10">
<title>${escaped(panels.map(({ title }) => title).join('; '))}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="14">${escaped(caption)}</text>
${body}
</svg>
`,
  )
}

function panelOf({ title, series }: Panel, left: number): string {
  const points = series.flatMap((one) => one.points).filter(({ value }) => value > 0)
  const x = axis(points.map(({ size }) => size))
  const y = axis(points.map(({ value }) => value))
  const at = (size: number, value: number): string => {
    const [across, up] = [x.place(size), y.place(value)]
    const [px, py] = [MARGIN + across * (WIDTH - 60), HEIGHT - 24 - up * (HEIGHT - 60)]
    return `${(left + px).toFixed(1)},${(py + HEAD - 12).toFixed(1)}`
  }
  const lines = series.map((one, i) => {
    const colour = COLOURS[i % COLOURS.length]
    const path = one.points.map(({ size, value }) => at(size, value)).join(' ')
    const label = `<text x="${left + MARGIN + 8}" y="${HEAD + 22 + 12 * i}" fill="${colour}">${escaped(one.name)}</text>`
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>${label}`
  })
  const grid = [
    ...x.decades.map((size) => [at(size, y.low), at(size, y.high), short(size), 12, -8] as const),
    ...y.decades.map(
      (value) => [at(x.low, value), at(x.high, value), short(value), 3, -38] as const,
    ),
  ].map(([from, to, label, down, shift]) => {
    const [fx, fy] = from.split(',').map(Number) as [number, number]
    const text = `<text x="${fx + shift}" y="${fy + down}">${label}</text>`
    return `<polyline points="${from} ${to}" fill="none" stroke="#ddd"/>${text}`
  })
  const heading = `<text x="${left + MARGIN}" y="${HEAD - 6}" font-weight="bold">${escaped(title)}</text>`
  return [heading, ...grid, ...lines].join('\n')
}

/** From the power of ten below the least to the one above the greatest. */
function axis(values: readonly number[]) {
  const from = Math.floor(Math.log10(Math.min(...values)))
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))))
  return {
    low: 10 ** from,
    high: 10 ** to,
    decades: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)),
    place: (value: number) => (Math.log10(value) - from) / (to - from),
  }
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`
  return value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(3)))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
