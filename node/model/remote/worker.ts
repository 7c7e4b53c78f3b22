/**
 * A worker's end: takes requests off the queue, many at a time, because the engine batches them; says tokens as they come, writes
 * the answer down, and only then lets go of the request. Knows no chain and no payment.
 */
import type { Hex } from '../../base/bytes.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { Loop } from '../../base/loop.ts'
import type { Delivery, Fabric } from '../../factory/fabric/types.ts'
import { ATTEMPTS_MAX, WORKER_LOOP } from '../../factory/options.ts'
import { runInference } from '../infer.ts'
import type { ModelLibrary } from '../library.ts'
import { TextStream } from '../text.ts'
import {
  type Answered,
  answerKey,
  decodeJson,
  encodeInference,
  encodeJson,
  endSubject,
  type InferenceTask,
  saidSubject,
} from './task.ts'

export type InferenceWorkerModules = {
  readonly fabric: Fabric
  readonly library: ModelLibrary
  /** By manifest hash, what the library is told of jobs. */
  readonly results: Map<Hex, Hex>
  readonly log: Log
  /** Says to the queue that the holder lives, this often, ms. */
  readonly workingMs: number
  now(): number
}

/** Requests taken at once. */
const TAKEN_MAX = 64

export class InferenceWorker {
  readonly #modules: InferenceWorkerModules
  readonly #loop: Loop
  readonly #running = new Set<Promise<void>>()

  constructor(modules: InferenceWorkerModules) {
    this.#modules = modules
    const { fabric, log } = modules
    this.#loop = new Loop(WORKER_LOOP, {
      name: 'inference worker',
      log,
      turn: async (signal) => {
        if (this.#running.size >= TAKEN_MAX) await Promise.race(this.#running)
        const delivery = await fabric.inference.pull(signal)
        if (!delivery) return true
        const work = this.#handle(delivery).catch((error) =>
          log.warn('a request is given back', { id: delivery.id, error: messageOf(error) }),
        )
        this.#running.add(work)
        void work.then(() => this.#running.delete(work))
        return true
      },
    })
  }

  start(): void {
    this.#loop.start()
  }

  /** What it holds is finished. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await Promise.all(this.#running)
  }

  async #handle(delivery: Delivery): Promise<void> {
    const { fabric, log, now, workingMs } = this.#modules
    const name: Hex = `0x${delivery.id}`
    // Its asker has gone, or has its answer from a worker that died before it let go.
    const { objects, records } = fabric.passing
    if (!(await objects.has(name)) || (await records.get(answerKey(name)))) return delivery.ack()
    const task = decodeJson<InferenceTask>(await objects.get(name))
    if (now() > task.until) return delivery.ack()
    const alive = setInterval(() => void delivery.working().catch(() => {}), workingMs)
    try {
      if (delivery.attempt > ATTEMPTS_MAX)
        throw new NodeError('inference-attempts', 'retry', `${ATTEMPTS_MAX} workers died on it`)
      const answer = await objects.put(await this.#run(name, task))
      await this.#answer(name, { answer })
    } catch (error) {
      const code = error instanceof NodeError ? error.code : 'internal'
      log.warn('a request cannot be answered', { id: delivery.id, error: messageOf(error) })
      await this.#answer(name, { error: { code, message: messageOf(error) } })
    } finally {
      clearInterval(alive)
    }
    await delivery.ack()
  }

  async #answer(name: Hex, answered: Answered): Promise<void> {
    const { passing, signals } = this.#modules.fabric
    const { objects, records } = passing
    if (!(await objects.has(name))) {
      // Nobody will fetch it.
      if ('answer' in answered) await objects.delete(answered.answer)
      return
    }
    await records.put(answerKey(name), encodeJson(answered))
    signals.say(saidSubject(name), encodeJson({ done: true }))
  }

  async #run(name: Hex, task: InferenceTask): Promise<Uint8Array> {
    const { fabric, library, results } = this.#modules
    const { request, stopTexts, payer, model: artefacts, result } = task
    const ended = new AbortController()
    const stop = await fabric.signals.listen(endSubject(name), () => ended.abort())
    const text = new TextStream(
      (ids) => library.base.model.decode(ids),
      stopTexts,
      () => {},
    )
    let index = 0
    try {
      results.set(artefacts.manifestHash, result)
      const model = await library.load(artefacts)
      const inference = await runInference(model, request, {
        payer,
        signal: ended.signal,
        keep: () => (text.stopped ? text.length : undefined),
        onToken: (token) => {
          fabric.signals.say(saidSubject(name), encodeJson({ index: index++, token }))
          if (stopTexts.length === 0) return
          text.push(token)
          if (text.stopped) ended.abort()
        },
      })
      return encodeInference(name, inference)
    } finally {
      stop()
    }
  }
}
