/**
 * What a node measures, for Prometheus. Names carry their unit (`_seconds`, `_bytes`, `_total`), labels come
 * from closed sets, so that nobody outside can grow the table. What can be read is read when it is
 * asked for; only what happens between two scrapes (requests, blocks) is counted as it happens.
 *
 * The dashboards and alerts in `scripts/ops/` name these metrics; a test checks that each one exists.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

/** Requests take from a tenth of a millisecond (cached) to the request timeout. */
const DURATION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30,
]

type Labels = Readonly<Record<string, string>>
type Row = { readonly labels: Labels; readonly value: number }

export type Outcome = 'ok' | 'error'

export class Metrics {
  readonly registry: Registry = new Registry()
  readonly #log: Log
  readonly #rpc: Histogram<'method' | 'outcome'>
  readonly #l1: Histogram<'method' | 'outcome'>

  constructor(build: { readonly version: string; readonly role: string }, log: Log) {
    this.#log = log
    const registers = [this.registry]
    // Event-loop lag, heap, garbage collection, process start time, file descriptors.
    collectDefaultMetrics({ register: this.registry })
    const info = new Gauge({
      name: 'openledger_build_info',
      help: 'Always 1; the version and the role are labels',
      labelNames: ['version', 'role'] as const,
      registers,
    })
    info.set(build, 1)
    this.#rpc = new Histogram({
      name: 'openledger_rpc_request_duration_seconds',
      help: 'JSON-RPC requests by method; a method that does not exist counts as unknown',
      labelNames: ['method', 'outcome'] as const,
      buckets: DURATION_BUCKETS,
      registers,
    })
    this.#l1 = new Histogram({
      name: 'openledger_l1_request_duration_seconds',
      help: 'Requests to L1 by method; an answer that refuses is ok, none at all is an error',
      labelNames: ['method', 'outcome'] as const,
      buckets: DURATION_BUCKETS,
      registers,
    })
  }

  /** `method` must be one that exists, or 'unknown'. */
  readonly observeRpc = (method: string, seconds: number, outcome: Outcome): void => {
    this.#rpc.observe({ method, outcome }, seconds)
  }

  readonly observeL1 = (method: string, seconds: number, outcome: Outcome): void => {
    this.#l1.observe({ method, outcome }, seconds)
  }

  /** A number read when it is asked for; one that cannot be read keeps its last value. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    const log = this.#log
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        try {
          this.set(await read())
        } catch (error) {
          log.debug('metric not read', { name, error: messageOf(error) })
        }
      },
    })
  }

  /** The same for each value of one label. */
  gauges<L extends string>(
    name: string,
    help: string,
    label: string,
    reads: Readonly<Record<L, () => number>>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        for (const [value, read] of Object.entries<() => number>(reads)) {
          this.set({ [label]: value }, read())
        }
      },
    })
  }

  /** A total that somebody else keeps since the start, for each value of one label. */
  totals<L extends string>(
    name: string,
    help: string,
    label: string,
    reads: Readonly<Record<L, () => number>>,
  ): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [value, read] of Object.entries<() => number>(reads)) {
          this.inc({ [label]: value }, read())
        }
      },
    })
  }

  /** The same without a label. */
  total(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }

  /** A number with fixed labels, read when it is asked for. */
  sampled(name: string, help: string, labels: Labels, read: () => number): void {
    new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [this.registry],
      collect() {
        this.set(labels, read())
      },
    })
  }

  /** One row whose labels say how things stand now. */
  info(name: string, help: string, read: () => Row): void {
    new Gauge({
      name,
      help,
      labelNames: Object.keys(read().labels),
      registers: [this.registry],
      collect() {
        this.reset()
        const { labels, value } = read()
        this.set(labels, value)
      },
    })
  }

  /** Totals that somebody else keeps, with labels. */
  totalsOf(name: string, help: string, read: () => readonly Row[]): void {
    new Counter({
      name,
      help,
      labelNames: Object.keys(read()[0]?.labels ?? {}),
      registers: [this.registry],
      collect() {
        this.reset()
        for (const { labels, value } of read()) this.inc(labels, value)
      },
    })
  }

  /** Returns the function that observes. */
  histogram(
    name: string,
    help: string,
    { labels, buckets }: { labels: Labels; buckets: readonly number[] },
  ): (value: number) => void {
    const histogram = new Histogram({
      name,
      help,
      labelNames: Object.keys(labels),
      buckets: [...buckets],
      registers: [this.registry],
    })
    return (value) => histogram.observe(labels, value)
  }

  /** Counts up; returns the function that adds. */
  counter(name: string, help: string): (amount?: number) => void {
    const counter = new Counter({ name, help, registers: [this.registry] })
    return (amount = 1) => counter.inc(amount)
  }
}
