/** muxTracer: several tracers over one run; and noopTracer, which sees nothing and says nothing. */
import type { Json, Tracer } from './tracer.ts'

export class MuxTracer implements Tracer {
  readonly #tracers: readonly (readonly [string, Tracer])[]
  readonly enter?: NonNullable<Tracer['enter']>
  readonly exit?: NonNullable<Tracer['exit']>
  readonly step?: NonNullable<Tracer['step']>
  readonly log?: NonNullable<Tracer['log']>

  constructor(tracers: readonly (readonly [string, Tracer])[]) {
    this.#tracers = tracers
    const all = tracers.map(([, tracer]) => tracer)
    // Only what some tracer wants is asked for: steps are dear.
    if (all.some(({ enter }) => enter))
      this.enter = (frame) => all.forEach((one) => void one.enter?.(frame))
    if (all.some(({ exit }) => exit))
      this.exit = (end) => all.forEach((one) => void one.exit?.(end))
    if (all.some(({ step }) => step))
      this.step = (step) => all.forEach((one) => void one.step?.(step))
    if (all.some(({ log }) => log))
      this.log = (log, depth) => all.forEach((one) => void one.log?.(log, depth))
  }

  begin(context: Parameters<NonNullable<Tracer['begin']>>[0]): void {
    for (const [, tracer] of this.#tracers) tracer.begin?.(context)
  }

  end(outcome: Parameters<NonNullable<Tracer['end']>>[0]): void {
    for (const [, tracer] of this.#tracers) tracer.end?.(outcome)
  }

  result(): Json {
    return Object.fromEntries(this.#tracers.map(([name, tracer]) => [name, tracer.result()]))
  }
}

export const noopTracer: Tracer = { result: () => ({}) }
