/** callTracer: who called whom, with what, and how it ended; a tree of frames. */
import type { Frame, FrameEnd } from '../chain/observe.ts'
import type { Log } from '../chain/types.ts'
import { FrameTree, frameFields, type Node } from './frames.ts'
import {
  type Budget,
  flag,
  type Json,
  type Outcome,
  optionsOf,
  type TraceContext,
  type Tracer,
} from './tracer.ts'

/** Of a frame beside its data. */
const FRAME_BYTES = 300

export class CallTracer implements Tracer {
  readonly #tree = new FrameTree<null>(() => null)
  readonly #budget: Budget
  readonly #onlyTop: boolean
  readonly log?: (log: Log, depth: number) => void

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#onlyTop = flag(options, 'onlyTopCall')
    if (flag(options, 'withLog')) {
      this.log = (log, depth) => {
        if (!this.#onlyTop || depth === 0) this.#tree.log(log)
      }
    }
  }

  begin(context: TraceContext): void {
    this.#tree.begin(context)
  }

  enter(frame: Frame): void {
    if (this.#onlyTop && frame.depth > 0) return
    this.#budget(FRAME_BYTES + 2 * frame.input.length)
    this.#tree.enter(frame)
  }

  exit(end: FrameEnd): void {
    if (this.#onlyTop && end.depth > 0) return
    this.#budget(2 * end.output.length)
    this.#tree.exit(end)
  }

  end(outcome: Outcome): void {
    this.#tree.end(outcome)
  }

  result(): Json {
    return this.#tree.root && shown(this.#tree.root)
  }
}

function shown(node: Node<null>): Json {
  return {
    ...frameFields(node),
    ...(node.calls.length ? { calls: node.calls.map(shown) } : {}),
  }
}
