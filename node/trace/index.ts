/** Tracers by name, as `debug_trace*` is asked for them. */
import { CallTracer } from './call.ts'
import { Erc7562Tracer } from './erc7562.ts'
import { FlatCallTracer } from './flat-call.ts'
import { FourByteTracer } from './four-byte.ts'
import { MuxTracer, noopTracer } from './mux.ts'
import { PrestateTracer } from './prestate.ts'
import { StructLogTracer } from './struct-log.ts'
import { type Budget, optionsOf, type Tracer, TracerConfigError } from './tracer.ts'

type Factory = (config: unknown, budget: Budget) => Tracer

const TRACERS: ReadonlyMap<string, Factory> = new Map<string, Factory>([
  ['callTracer', (config, budget) => new CallTracer(config, budget)],
  ['flatCallTracer', (config, budget) => new FlatCallTracer(config, budget)],
  ['prestateTracer', (config, budget) => new PrestateTracer(config, budget)],
  ['4byteTracer', () => new FourByteTracer()],
  ['erc7562Tracer', (config, budget) => new Erc7562Tracer(config, budget)],
  ['muxTracer', muxOf],
  ['noopTracer', () => noopTracer],
])

const NAMES: readonly string[] = [...TRACERS.keys()]

/** `name` undefined: structLogs, whose options are `config`. @throws TracerConfigError */
export function createTracer(name: string | undefined, config: unknown, budget: Budget): Tracer {
  if (name === undefined) return new StructLogTracer(config, budget)
  const factory = TRACERS.get(name)
  if (factory) return factory(config, budget)
  const what = name.includes('{')
    ? 'tracers in JavaScript are not run here'
    : `no tracer is called ${name.slice(0, 40)}`
  throw new TracerConfigError(`${what}: use ${NAMES.join(', ')}, or none for structLogs`)
}

function muxOf(config: unknown, budget: Budget): Tracer {
  const entries = Object.entries(optionsOf(config))
  if (entries.length > NAMES.length) {
    throw new TracerConfigError(
      `${entries.length} tracers in one muxTracer, at most ${NAMES.length}`,
    )
  }
  return new MuxTracer(
    entries.map(([name, inner]) => {
      if (name === 'muxTracer') throw new TracerConfigError('a muxTracer holds no muxTracer')
      return [name, createTracer(name, inner, budget)]
    }),
  )
}
