/** 4byteTracer: how often each function selector was called, with the size of its arguments. */
import { toHex } from '../base/bytes.ts'
import type { Frame } from '../chain/observe.ts'
import type { Json, TraceContext, Tracer } from './tracer.ts'

export class FourByteTracer implements Tracer {
  readonly #counts = new Map<string, number>()
  #context: TraceContext | null = null

  begin(context: TraceContext): void {
    this.#context = context
  }

  enter({ type, to, input }: Frame): void {
    if (input.length < 4 || (!type.endsWith('CALL') && type !== 'CALLCODE')) return
    // A precompile is an opcode in disguise.
    if (this.#context?.isPrecompile(to)) return
    const key = `${toHex(input.subarray(0, 4))}-${input.length - 4}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  result(): Json {
    return Object.fromEntries(this.#counts)
  }
}
