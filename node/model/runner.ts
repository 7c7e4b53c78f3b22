/**
 * Where an inference is computed: on this node's engine, or on a worker's (`remote/`). Whoever runs it, the same request gives
 * the same bytes.
 */
import type { InferenceRequest } from '../attribution/request.ts'
import { type Inference, type InferOptions, runInference } from './infer.ts'
import type { ModelLibrary } from './library.ts'
import type { ModelRecord } from './registry.ts'

export type RunOptions = InferOptions & {
  /** The answer ends before the first of these; `keep` says the same to an engine in this process. */
  readonly stopTexts: readonly string[]
}

export type InferenceRunner = {
  /** @throws NodeError as `runInference`; `no-worker` */
  run(record: ModelRecord, request: InferenceRequest, options: RunOptions): Promise<Inference>
}

export function localRunner(library: ModelLibrary): InferenceRunner {
  return {
    run: async (record, request, options) =>
      runInference(await library.load(record), request, options),
  }
}
