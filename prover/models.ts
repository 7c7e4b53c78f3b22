/**
 * Models looked at again as they are registered: the table added up from its leaves, the corpus compared with the rows of the
 * manifest, drawn rows' vectors made again, and training steps up to a drawn one run again. Beside the verification of
 * blocks, one model at a time: a long job holds up no receipt. What waits is on disk: a restart forgets none, and a model whose content nobody shows is looked at again, ever more seldom.
 *
 *   registered -> waiting (disk) -> verdict
 *                    ^    \-- content withheld, or rows private: no verdict but why --later, TRIES_MAX times--/
 *
 * Files are hashed on a thread (`node/content/hash-thread.ts`), so a model of many rows does not hold up the node.
 */
import { join } from 'node:path'
import { decodeEventLog, parseAbi } from 'viem/utils'
import { OPENLEDGER } from '../genesis/addresses.ts'
import { readSealed } from '../node/attribution/table.ts'
import { fromHex, type Hex, toHex, utf8 } from '../node/base/bytes.ts'
import { messageOf, NodeError } from '../node/base/errors.ts'
import type { Receipt } from '../node/chain/types.ts'
import type { OpenDatanet } from '../node/datanet/granted.ts'
import type { Node } from '../node/main.ts'
import type { KvTable } from '../node/store/kv.ts'
import { wrongBy } from './aside.ts'
import { checkTable } from './check.ts'
import type { Difference } from './compare.ts'
import { retrain } from './retrain.ts'
import { drawOne } from './sample.ts'

const REGISTERED = parseAbi([
  'event ModelRegistered(bytes32 indexed modelId, address indexed owner, bytes32 indexed baseHash, bytes32 adapterHash, bytes32 manifestHash, string name)',
])

export type ModelVerdict = {
  readonly modelId: Hex
  /** null: it could not be looked at, which says nothing about it. */
  readonly ok: boolean | null
  /** Steps up to this one were run again; 0: none (a merge, or content that nobody shows). */
  readonly steps: number
  readonly difference: Difference | null
  /** Why the model could not be looked at, if it could not. */
  readonly error: string | null
}

/** After the first look that found no content, and at most, ms. */
const AGAIN_MS = 60_000
const AGAIN_MS_MAX = 86_400_000
/** Looks at a model whose content nobody shows, over two weeks; then the verdict stays that it could not be looked at. */
const TRIES_MAX = 24

type Modules = {
  readonly node: Pick<Node, 'store' | 'log' | 'content' | 'models' | 'options' | 'chain'>
  readonly read: (hash: Hex) => Promise<Uint8Array>
  /** Private rows granted to the validator's account. */
  readonly open: OpenDatanet
  readonly signal: AbortSignal
  /** Holds what a wrong model has earned; told once more when the process ended meanwhile. */
  refuted(modelId: Hex, difference: Difference): Promise<void>
  /** Later, unless the process ends before. */
  readonly later?: (ms: number, work: () => void) => void
}

export class ModelAudits {
  readonly #modules: Modules
  readonly #verdicts: KvTable
  /** model id 32 -> hash 32 of the L1 block that draws its steps */
  readonly #waiting: KvTable
  readonly #tries = new Map<Hex, number>()
  readonly #refuted = new Map<Hex, Difference>()
  #turn: Promise<void> = Promise.resolve()

  constructor(modules: Modules) {
    this.#modules = modules
    this.#verdicts = modules.node.store.table('model-verdicts')
    this.#waiting = modules.node.store.table('models-waiting')
  }

  /** Models that were found wrong, by what differs in them. */
  get refuted(): ReadonlyMap<Hex, Difference> {
    return this.#refuted
  }

  /** Goes on with what waited when the process ended. */
  async load(): Promise<void> {
    for await (const [modelId, verdict] of this.#verdicts.iterate()) {
      const { difference } = decoded(verdict)
      if (difference) this.#refuted.set(toHex(modelId), difference)
    }
    for await (const [modelId, l1Hash] of this.#waiting.iterate())
      this.#queue(toHex(modelId), toHex(l1Hash))
  }

  /** On disk when it resolves; `l1Hash` draws the steps. */
  async heard(modelIds: readonly Hex[], l1Hash: Hex): Promise<void> {
    for (const modelId of modelIds) {
      await this.#waiting.put(fromHex(modelId), fromHex(l1Hash))
      this.#queue(modelId, l1Hash)
    }
  }

  #queue(modelId: Hex, l1Hash: Hex): void {
    this.#turn = this.#turn.then(() => this.#audit(modelId, l1Hash))
  }

  async verdict(modelId: Hex): Promise<ModelVerdict | null> {
    const bytes = await this.#verdicts.get(fromHex(modelId))
    return bytes ? decoded(bytes) : null
  }

  /** What runs is given up (`signal`), what waits is not begun. */
  stop(): Promise<void> {
    return this.#turn
  }

  async #audit(modelId: Hex, l1Hash: Hex): Promise<void> {
    const { node, signal } = this.#modules
    try {
      if (signal.aborted || (await this.#isJudged(modelId))) return
      const { verdict, isWithheld } = await this.#look(modelId, l1Hash)
      if (signal.aborted) return
      await this.#keep(verdict, isWithheld)
      if (isWithheld) this.#again(modelId, l1Hash)
    } catch (error) {
      node.log.error('the verdict on a model is not kept', {
        model: modelId,
        error: messageOf(error),
      })
      this.#again(modelId, l1Hash)
    }
  }

  async #look(modelId: Hex, l1Hash: Hex): Promise<{ verdict: ModelVerdict; isWithheld: boolean }> {
    try {
      const { difference, steps } = await this.#difference(modelId, l1Hash)
      const ok = difference === null
      return { verdict: { modelId, ok, steps, difference, error: null }, isWithheld: false }
    } catch (error) {
      const difference = wrongBy(error, 'table')
      if (difference)
        return {
          verdict: { modelId, ok: false, steps: 0, difference, error: null },
          isWithheld: false,
        }
      // A grant may still come.
      const code = error instanceof NodeError ? error.code : null
      const isPrivate = code === 'datanet-private'
      const isMissing = isPrivate || (error instanceof NodeError && error.severity === 'retry')
      const isWithheld = isMissing && 1 + (this.#tries.get(modelId) ?? 0) < TRIES_MAX
      const isUnread = isPrivate || code === 'datanet-erased'
      const why = isUnread ? `cannot check: ${messageOf(error)}` : messageOf(error)
      const verdict = { modelId, ok: null, steps: 0, difference: null, error: why }
      return { verdict, isWithheld }
    }
  }

  async #isJudged(modelId: Hex): Promise<boolean> {
    const verdict = await this.verdict(modelId)
    if (verdict === null || verdict.error !== null) return false
    if (verdict.difference) await this.#modules.refuted(modelId, verdict.difference)
    await this.#waiting.delete(fromHex(modelId))
    return true
  }

  #again(modelId: Hex, l1Hash: Hex): void {
    const tries = 1 + (this.#tries.get(modelId) ?? 0)
    this.#tries.set(modelId, tries)
    const { signal, later = laterUnref } = this.#modules
    later(Math.min(AGAIN_MS * 2 ** (tries - 1), AGAIN_MS_MAX), () => {
      if (!signal.aborted) this.#queue(modelId, l1Hash)
    })
  }

  async #difference(
    modelId: Hex,
    l1Hash: Hex,
  ): Promise<{ difference: Difference | null; steps: number }> {
    const { node, read, open, signal } = this.#modules
    const { registry, library } = node.models
    const record = await registry.model(modelId)
    if (!record) throw new Error('it is not registered')
    const state = node.chain.stateAt('unsafe')
    const table = readSealed(state.code(`0x${modelId.slice(26)}`), (at) => state.code(at))
    const looked = await checkTable(record, table, l1Hash, { registry, library, read, open })
    const { difference, manifest, report, data } = looked
    const last = report.checkpoints.at(-1)?.step ?? 0
    if (difference || last === 0 || manifest.parents.length > 0) return { difference, steps: 0 }
    const steps = 1 + drawOne(l1Hash, modelId, last)
    const workDir = join(node.options.dataDir, 'retrain')
    const modules = { base: library.base, content: node.content, read, data, workDir, signal }
    return { difference: await retrain(manifest, report, steps, modules), steps }
  }

  /** `isOpen`: it will be looked at again. */
  async #keep(verdict: ModelVerdict, isOpen = false): Promise<void> {
    const { node, refuted } = this.#modules
    const { log } = node
    await this.#verdicts.put(fromHex(verdict.modelId), utf8(JSON.stringify(verdict)))
    if (verdict.difference) {
      // First: what settles from now on is seen by who verifies it.
      this.#refuted.set(verdict.modelId, verdict.difference)
      await refuted(verdict.modelId, verdict.difference)
    }
    if (!isOpen) {
      await this.#waiting.delete(fromHex(verdict.modelId))
      this.#tries.delete(verdict.modelId)
    }
    const { modelId, ok, steps, difference, error } = verdict
    if (ok) log.info('model verified', { model: modelId, steps })
    else if (difference) log.warn('model refuted', { model: modelId, ...difference })
    else log.warn('model not verified', { model: modelId, error, isWithheld: isOpen })
  }
}

function decoded(verdict: Uint8Array): ModelVerdict {
  return JSON.parse(new TextDecoder().decode(verdict)) as ModelVerdict
}

function laterUnref(ms: number, work: () => void): void {
  setTimeout(work, ms).unref()
}

/** Models that these transactions registered. */
export function registeredIn(receipts: readonly Pick<Receipt, 'logs'>[]): Hex[] {
  return receipts
    .flatMap(({ logs }) => logs)
    .flatMap(({ address, topics, data }) => {
      if (address !== OPENLEDGER.modelRegistry) return []
      try {
        const log = { topics: topics as [Hex, ...Hex[]], data: toHex(data) }
        return [decodeEventLog({ abi: REGISTERED, ...log }).args.modelId]
      } catch {
        // Another event.
        return []
      }
    })
}
