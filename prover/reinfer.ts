/**
 * A settled receipt's inference once more. Everything starts from what L1 says: the receipt names the
 * request, the model and the hashes; content by hash brings the request and the provider's evidence;
 * the node's own `runInference` gives the bytes to compare.
 */

import {
  decodeRequest,
  decodeTokens,
  type InferenceRequest,
  tokensCommit,
} from '../node/attribution/request.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import type { Hex } from '../node/base/bytes.ts'
import { messageOf, NodeError } from '../node/base/errors.ts'
import {
  checkFits,
  type Inference,
  type LoadedModel,
  replayInference,
  runInference,
  traceRoot,
} from '../node/model/infer.ts'
import type { ModelLibrary } from '../node/model/library.ts'
import { passOf } from '../node/model/pass.ts'
import type { ModelRecord, Registry } from '../node/model/registry.ts'
import { contextFault, RETRIEVED_ROWS_MAX } from '../node/model/retrieve.ts'
import { isOfEngine, wrongBy } from './aside.ts'
import {
  compareInference,
  compareRequest,
  type Difference,
  type Evidence,
  narrowed,
} from './compare.ts'
import { type Located, locate, type OpeningSource } from './opening.ts'

export type ReinferModules = {
  readonly library: Pick<ModelLibrary, 'base' | 'load'>
  readonly registry: Pick<Registry, 'model' | 'mayRetrieve'>
  /** Own store first, then peers; verified by hash. @throws NodeError when nobody has it. */
  content(hash: Hex): Promise<Uint8Array>
  /** Where the provider announced the trace of a receipt; null when it was not heard. */
  traceOf(receipt: Hex): Promise<Hex | null>
  /** Asks the provider how it computed a wrong answer; absent: it is not asked. */
  readonly openings?: OpeningSource | undefined
}

export type Reinference = { readonly difference: Difference | null; readonly ours: Inference }

const LEAF_BYTES = 32

/** @throws NodeError `retry` when content cannot be had now. */
export async function reinfer(
  settled: SettledReceipt,
  modules: ReinferModules,
): Promise<Reinference | Difference> {
  const { receipt } = settled
  const { library, registry, content } = modules
  const record = await registry.model(receipt.modelId, settled.block.hash)
  if (!record)
    throw new NodeError('model-unknown', 'fatal', `settled receipt ${settled.hash} names no model`)
  const bytes = await content(receipt.requestId)
  const request = refusedAs(() => decodeRequest(bytes))
  if ('stage' in request) return request
  const known = { ...record, tokenizerHash: library.base.tokenizerHash }
  const mismatch = compareRequest(receipt, request, known)
  if (mismatch) return mismatch
  const model = await library.load(record)
  const unfit = refusedAs(() => checkFits(model.base, request))
  if (unfit) return unfit
  const misread = await compareContext(request, record, model, registry)
  if (misread) return misread
  const ours = await runInference(model, request)
  // What the provider showed is only needed to say where the first difference lies.
  const agrees =
    receipt.traceRoot === traceRoot(ours.trace) &&
    receipt.outputCommit === tokensCommit(ours.tokens)
  const tokens = agrees ? null : await tokensOf(receipt.outputCommit, content)
  const evidence = {
    tokens,
    trace: agrees ? null : await traceLeaves(settled.hash, modules),
    replayed: tokens && (await replayInference(model, request, tokens)),
    unadapted:
      tokens && (await replayInference({ base: model.base, adapter: null }, request, tokens)),
    sketch: Int8Array.from(settled.sketch),
    claims: settled.claims,
  }
  const difference = compareInference(receipt, evidence, ours)
  if (!difference || !tokens || !modules.openings) return { difference, ours }
  if (!isOfPass(difference, receipt, { ...evidence, ours })) return { difference, ours }
  const located = await locatedIn(
    settled,
    { model, prompt: request.prompt, tokens },
    modules.openings,
  )
  return { difference: located ? narrowed(difference, located) : difference, ours }
}

/** null: it is not known where. What fails here undoes no verdict: that the answer is wrong is known without. */
async function locatedIn(
  settled: SettledReceipt,
  { model, prompt, tokens }: { model: LoadedModel; prompt: readonly number[]; tokens: number[] },
  openings: OpeningSource,
): Promise<Located | null> {
  try {
    const pass = passOf(model, prompt, tokens)
    return pass && (await locate(pass, settled, openings))
  } catch (error) {
    if (isOfEngine(error)) return null
    throw error
  }
}

/** The network is to blame, or may be: only the tokens are shown, and neither they nor those here have the committed trace. */
function isOfPass(
  { stage }: Difference,
  { traceRoot: committed }: SettledReceipt['receipt'],
  { trace, replayed, ours }: Evidence & { readonly ours: Inference },
): boolean {
  const roots = [replayed, ours.trace].flatMap((leaves) => (leaves ? [traceRoot(leaves)] : []))
  const isMaybe = stage === 'trace' || (stage === 'tokens' && trace === null)
  return isMaybe && replayed !== null && !roots.includes(committed)
}

/** What cannot be answered was not: a receipt of it is wrong, and must not hold up those behind it. */
function refusedAs<T>(look: () => T): T | Difference {
  try {
    return look()
  } catch (error) {
    if (!(error instanceof NodeError) || error.severity !== 'user') throw error
    const found = messageOf(error)
    return { stage: 'request', field: 'request', claimed: 'one that was answered', found }
  }
}

/** Rows in the prompt that its question does not find, or that their licence does not let be shown. */
async function compareContext(
  { prompt, retrieval }: InferenceRequest,
  record: ModelRecord,
  model: LoadedModel,
  registry: ReinferModules['registry'],
): Promise<Difference | null> {
  if (!retrieval) return null
  const wrong = { stage: 'request', field: 'retrieval' } as const
  if (!(await registry.mayRetrieve(record)))
    return { ...wrong, claimed: 'rows retrieved', found: 'licences that do not allow it' }
  if (retrieval.top > RETRIEVED_ROWS_MAX)
    return { ...wrong, claimed: `${retrieval.top} rows`, found: `at most ${RETRIEVED_ROWS_MAX}` }
  const vectors = await model.vectors().catch((error) => {
    // Those that are there are not what the job committed to.
    if (wrongBy(error, 'model')) return null
    throw error
  })
  if (!vectors) return { ...wrong, claimed: 'rows retrieved', found: 'a model without row vectors' }
  const fault = await contextFault(model, prompt, retrieval)
  if (!fault) return null
  const { index, claimed, found } = fault
  const show = (token: number | null): string => String(token ?? 'nothing')
  const field = 'retrieved token'
  return { ...wrong, field, index, claimed: show(claimed), found: show(found) }
}

/** The provider's tokens only help to name a difference; without them the verdict is the same. */
async function tokensOf(commit: Hex, content: ReinferModules['content']): Promise<number[] | null> {
  try {
    return decodeTokens(await content(commit))
  } catch {
    return null
  }
}

async function traceLeaves(receipt: Hex, modules: ReinferModules): Promise<Uint8Array[] | null> {
  try {
    const hash = await modules.traceOf(receipt)
    if (!hash) return null
    const bytes = await modules.content(hash)
    const count = Math.floor(bytes.length / LEAF_BYTES)
    return Array.from({ length: count }, (_, i) =>
      bytes.slice(i * LEAF_BYTES, (i + 1) * LEAF_BYTES),
    )
  } catch {
    return null
  }
}
