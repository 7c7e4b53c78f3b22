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
  readonly log?: (log: Log) => void

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#onlyTop = flag(options, 'onlyTopCall')
    if (flag(options, 'withLog')) this.log = (log) => this.#tree.log(log)
  }

  begin(context: TraceContext): void {
    this.#tree.begin(context)
  }

  enter(frame: Frame): void {
    this.#budget(FRAME_BYTES + 2 * frame.input.length)
    this.#tree.enter(frame)
  }

  exit(end: FrameEnd): void {
    this.#budget(2 * end.output.length)
    this.#tree.exit(end)
  }

  end(outcome: Outcome): void {
    this.#tree.end(outcome)
  }

  result(): Json {
    const { root } = this.#tree
    if (!root || !this.#onlyTop) return root && shown(root)
    // What is below counts for the numbers of logs and is not shown.
    return frameFields({ ...root, logs: root.logs.map((log) => ({ ...log, position: 0 })) })
  }
}

function shown(node: Node<null>): Json {
  return {
    ...frameFields(node),
    ...(node.calls.length ? { calls: node.calls.map(shown) } : {}),
  }
}
