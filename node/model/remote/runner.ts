/**
 * A node's end: gives requests to inference workers over the fabric, shows tokens as they come, and has the answer when one of
 * them has written it down. A worker that dies is replaced by the queue; what was heard twice is shown once. What a node that dies
 * leaves of its question passes by itself (`passing`).
 */
import { randomBytes } from 'node:crypto'
import { corpusArtefactHash } from '../../attribution/corpus.ts'
import type { InferenceRequest } from '../../attribution/request.ts'
import { type Hex, toHex, ZERO_HASH } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { readManifest } from '../../content/directory.ts'
import type { ContentStore } from '../../content/store.ts'
import type { Fabric } from '../../factory/fabric/types.ts'
import { REQUEST_MS_MAX } from '../../factory/options.ts'
import { readReport } from '../../factory/report.ts'
import { checkFits, type Inference } from '../infer.ts'
import type { ModelArtefacts, ModelLibrary } from '../library.ts'
import type { ModelRecord } from '../registry.ts'
import type { InferenceRunner, RunOptions } from '../runner.ts'
import {
  type Answered,
  answerKey,
  decodeInference,
  decodeJson,
  encodeJson,
  endSubject,
  type InferenceTask,
  type Said,
  saidSubject,
} from './task.ts'

export type RemoteModules = {
  readonly fabric: Fabric
  readonly library: ModelLibrary
  readonly content: ContentStore
  readonly log: Log
  resultOf(manifest: Hex): Promise<Hex>
  /** Unix milliseconds. */
  now(): number
}

/** How often the record is looked at, should the word that it is there have got lost. */
const LOOK_MS = 2_000

export function remoteRunner(modules: RemoteModules): InferenceRunner {
  const { fabric, library } = modules
  /** Models whose artefacts workers can read. */
  const shared = new Map<Hex, Promise<void>>()
  const share = (record: ModelRecord): Promise<void> => {
    const known = shared.get(record.id) ?? shareModel(record, modules)
    shared.set(record.id, known)
    known.catch(() => shared.delete(record.id))
    return known
  }
  return {
    run: async (record, request, options) => {
      checkFits(library.base.model, request)
      await share(record)
      const task: InferenceTask = {
        model: artefactsOf(record),
        request,
        stopTexts: options.stopTexts,
        payer: options.payer ?? '',
        result: await modules.resultOf(record.manifestHash),
        nonce: toHex(new Uint8Array(randomBytes(16))),
        until: modules.now() + REQUEST_MS_MAX,
      }
      const { objects, records } = fabric.passing
      const name = await objects.put(encodeJson(task))
      try {
        return await answered(name, request, options, modules)
      } finally {
        await objects.delete(name)
        await records.delete(answerKey(name))
      }
    },
  }
}

async function answered(
  name: Hex,
  request: InferenceRequest,
  { onToken, signal }: RunOptions,
  { fabric }: RemoteModules,
): Promise<Inference> {
  const { objects, records } = fabric.passing
  let shown = 0
  let look = (): void => {}
  const hush = await fabric.signals.listen(saidSubject(name), (word) => {
    const said = decodeJson<Said>(word)
    if ('done' in said) return look()
    // One that was lost on the way comes with the answer.
    if (said.index !== shown || shown >= request.sampler.maxTokens) return
    shown++
    onToken?.(said.token)
  })
  const leave = (): void => fabric.signals.say(endSubject(name), new Uint8Array(0))
  signal?.addEventListener('abort', leave)
  const timer = setInterval(() => look(), LOOK_MS)
  let late: NodeJS.Timeout | undefined
  try {
    await fabric.inference.push(name.slice(2), 1)
    const found = await new Promise<Answered>((resolve, reject) => {
      late = setTimeout(() => {
        const why = `no inference worker has answered within ${REQUEST_MS_MAX / 1000} s`
        reject(new NodeError('no-worker', 'retry', why))
      }, REQUEST_MS_MAX)
      look = () => {
        // Said once, it may have been before the worker listened.
        if (signal?.aborted) leave()
        records.get(answerKey(name)).then((record) => {
          if (record) resolve(decodeJson<Answered>(record.value))
        }, reject)
      }
    })
    if ('error' in found) throw new NodeError(found.error.code, 'retry', found.error.message)
    const inference = decodeInference(await objects.get(found.answer))
    await objects.delete(found.answer)
    for (const token of inference.tokens.slice(shown)) onToken?.(token)
    return inference
  } finally {
    clearInterval(timer)
    clearTimeout(late)
    signal?.removeEventListener('abort', leave)
    hush()
  }
}

/** Everything a worker loads of a model, into the fabric. */
async function shareModel(record: ModelRecord, modules: RemoteModules): Promise<void> {
  const { fabric, library, content, resultOf } = modules
  // Loading it here fetches what this node lacks, and checks it.
  const model = await library.load(record)
  await model.vectors()
  const put = async (hash: Hex): Promise<void> => {
    if (hash !== ZERO_HASH && !(await fabric.objects.has(hash)) && (await content.has(hash)))
      await fabric.objects.put(await content.get(hash))
  }
  for (const { hash } of (await readManifest(content, record.adapterHash)).files) await put(hash)
  const report = await resultOf(record.manifestHash)
  for (const hash of [record.adapterHash, record.artefactHash, record.corpusHash, report])
    await put(hash)
  if (record.corpusHash !== ZERO_HASH)
    await put(corpusArtefactHash(await content.get(record.corpusHash)))
  if (report !== ZERO_HASH) {
    const { vectorsHash } = await readReport(report, (hash) => content.get(hash))
    await put(vectorsHash ?? ZERO_HASH)
  }
}

function artefactsOf(record: ModelRecord): ModelArtefacts {
  const { id, name, baseHash, adapterHash, artefactHash, corpusHash, manifestHash } = record
  return { id, name, baseHash, adapterHash, artefactHash, corpusHash, manifestHash }
}
