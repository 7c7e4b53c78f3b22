/**
 * Curves over time or steps, by uPlot, which comes with the first chart that is shown. Follows the width of its place and the
 * theme; the values themselves are also there as a table for those who cannot see curves.
 */
import { useEffect, useRef } from 'preact/hooks'
import type uPlot from 'uplot'
import { useStore } from '../lib/store.ts'
import { theme } from '../lib/theme.ts'
import 'uplot/dist/uPlot.min.css'
import './chart.css'

export type Series = {
  readonly label: string
  /** As long as `x`; null where there is no value. */
  readonly values: readonly (number | null)[]
  readonly dashed?: boolean
}

export type LineChartProps = {
  /** What the chart shows, in words. */
  readonly label: string
  readonly x: readonly number[]
  readonly series: readonly Series[]
  readonly xLabel?: string
  /** `x` is in seconds since 1970. */
  readonly time?: boolean
  readonly height?: number
  /** Of the values, on the axis and in the legend. */
  readonly format?: (value: number) => string
}

const plain = (value: number): string => String(Number(value.toPrecision(4)))

export default function LineChart(props: LineChartProps) {
  const { label, x, series, time = false, height = 260, format = plain, xLabel = '' } = props
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const shown = useStore(theme)
  const data = [x, ...series.map(({ values }) => values)] as unknown as uPlot.AlignedData
  const latest = useRef(data)
  latest.current = data
  const shape = series.map(({ label: name, dashed }) => `${name}${dashed ? '-' : ''}`).join()
  useEffect(() => {
    const element = place.current
    if (!element) return undefined
    let left = false
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const make = async (): Promise<void> => {
      const { default: Plot } = await import('uplot')
      if (left) return
      plot.current?.destroy()
      plot.current = new Plot(
        optionsOf({ ...props, time, height, format, xLabel }, element),
        latest.current,
        element,
      )
    }
    void make()
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height }),
    )
    resized.observe(element)
    dark.addEventListener('change', make)
    return () => {
      left = true
      resized.disconnect()
      dark.removeEventListener('change', make)
      plot.current?.destroy()
      plot.current = null
    }
  }, [shape, time, height, shown])
  useEffect(() => plot.current?.setData(data))
  return (
    <figure class="chart" aria-label={label}>
      <div ref={place} aria-hidden="true" />
      <figcaption class="visually-hidden">
        {label}.{' '}
        {series.map(({ label: name, values }) => `${name}: ${summary(values, format)}.`).join(' ')}
      </figcaption>
    </figure>
  )
}

function summary(values: readonly (number | null)[], format: (value: number) => string): string {
  const known = values.filter((value) => value !== null)
  const [first, last] = [known[0], known.at(-1)]
  if (first === undefined || last === undefined) return 'no values'
  return `${known.length} values, from ${format(first)} to ${format(last)}`
}

function optionsOf(
  { series, time, height, format, xLabel }: Required<LineChartProps>,
  element: HTMLElement,
): uPlot.Options {
  const style = getComputedStyle(element)
  const token = (name: string): string => resolved(element, style.getPropertyValue(name))
  const axis = {
    stroke: token('--ink-3'),
    grid: { stroke: token('--line'), width: 1 },
    ticks: { stroke: token('--line'), width: 1, size: 4 },
    font: `12px ${style.fontFamily}`,
  }
  return {
    width: element.clientWidth,
    height,
    scales: { x: { time } },
    cursor: { points: { size: 7 } },
    axes: [
      axis,
      { ...axis, size: 64, values: (_plot, splits) => splits.map((value) => format(value)) },
    ],
    series: [
      { label: time ? 'Time' : xLabel },
      ...series.map(({ label, dashed }, i) => ({
        label,
        stroke: token(`--series-${(i % 8) + 1}`),
        width: 1.75,
        spanGaps: true,
        ...(dashed && { dash: [5, 4] }),
        value: (_plot: uPlot, value: number | null) => (value === null ? '–' : format(value)),
      })),
    ],
  }
}

/** A canvas does not know `light-dark()`: the browser computes the colour. */
function resolved(element: HTMLElement, value: string): string {
  const probe = document.createElement('span')
  probe.style.color = value
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
