/**
 * The OpenAI-compatible door: `/v1/models`, `/v1/completions`, `/v1/chat/completions`, plain or as server-sent events,
 * `/v1/embeddings`, and vLLM's `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`. How a request is paid: `node/model/paying/`; one
 * that is not is answered with 402 and what to do.
 */
import type { Hex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Catalogue } from '../model/catalogue.ts'
import {
  type Asked,
  type Body,
  isLocal,
  parseBody,
  type Reply,
  readBytes,
  readJson,
  sendError,
  sendJson,
} from '../model/openai-http.ts'
import type { Asking, InferenceService } from '../model/serve.ts'
import { loadAdapter, unloadAdapter } from './adapters.ts'
import { embeddings } from './embeddings.ts'
import { invalid, stringField } from './fields.ts'
import { type ForwardModules, forward } from './forward.ts'
import { listModels, retrieveModel } from './models.ts'
import { OPENAI_DEFAULTS, type OpenAiOptions, questionOf } from './question.ts'
import { answerObject, EventWriter } from './write.ts'

export type OpenAiModules = {
  readonly catalogue: Catalogue
  /** null on a node without a provider's key. */
  readonly service: InferenceService | null
  /** Passes on what this node does not hold; null: it is refused. */
  readonly forward: ForwardModules | null
  readonly log: Log
  /** Whether a request bears the operator's token. */
  readonly isOperator?: (req: Asked) => boolean
}

/** Milliseconds after which a whole answer is worth nothing to its caller. */
const DEADLINE_HEADER = 'x-openledger-deadline-ms'
const PARENT_HEADER = 'x-openledger-parent-action'
const DEADLINE_MS_MIN = 100
const DEADLINE_MS_MAX = 3_600_000

type Request = {
  readonly req: Asked
  readonly res: Reply
  readonly modules: OpenAiModules
  readonly options: OpenAiOptions
}

/** The handler of everything below `/v1`. */
export function createOpenAiHandler(
  modules: OpenAiModules,
  options: OpenAiOptions = OPENAI_DEFAULTS,
): (req: Asked, res: Reply) => Promise<void> {
  const log = modules.log.child('openai')
  return async (req, res) => {
    try {
      await route({ req, res, modules, options })
    } catch (error) {
      sendError(res, error, log)
    }
  }
}

type Handler = (request: Request, name: string) => Promise<void>

const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  '/v1/models': {
    GET: async ({ req, res, modules }) =>
      sendJson(res, 200, await listModels(modules.catalogue, isLocal(req))),
  },
  '/v1/models/': {
    GET: async ({ req, res, modules }, name) =>
      sendJson(res, 200, await retrieveModel(modules.catalogue, name, isLocal(req))),
  },
  '/v1/completions': { POST: (request) => complete(request, false) },
  '/v1/chat/completions': { POST: (request) => complete(request, true) },
  '/v1/embeddings': {
    POST: async ({ req, res, modules, options }) => {
      const body = await readJson(req, options.bodyBytesMax)
      sendJson(res, 200, await embeddings(body, modules.catalogue, isLocal(req)))
    },
  },
  '/v1/load_lora_adapter': { POST: (request) => operate(request, loadAdapter) },
  '/v1/unload_lora_adapter': { POST: (request) => operate(request, unloadAdapter) },
}

async function route(request: Request): Promise<void> {
  const { req } = request
  const { pathname } = new URL(req.url ?? '/', 'http://node')
  const [, name] = pathname.match(/^\/v1\/models\/(.+)$/) ?? []
  const methods = ROUTES[name === undefined ? pathname : '/v1/models/']
  if (!methods) {
    const paths = Object.keys(ROUTES).filter((path) => !path.endsWith('/'))
    throw userError('not-found', `no such path: ${pathname}; there are ${paths.join(', ')}`)
  }
  const handle = methods[req.method ?? '']
  if (!handle) {
    throw userError('http-method', `use ${Object.keys(methods).join(' or ')} for ${pathname}`)
  }
  await handle(request, decoded(name ?? ''))
}

/** A name with a broken escape is the name of nothing. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

async function complete(request: Request, isChat: boolean): Promise<void> {
  const { req, res, modules, options } = request
  const { catalogue, service } = modules
  const bytes = await readBytes(req, options.bodyBytesMax)
  const body = parseBody(bytes)
  const record = await catalogue.find(stringField(body, 'model'))
  if (record && modules.forward && !(service && catalogue.holds(record))) {
    const path = isChat ? '/v1/chat/completions' : '/v1/completions'
    return forward({ record, path, body: bytes, req }, res, modules.forward)
  }
  if (!service) throw userError('model-unknown', `no model '${body.model}' can be asked here`)
  const { chatTemplate, stopTokens } = catalogue.library.base
  const question = { ...questionOf(body, isChat, { chatTemplate, stopTokens, options }), record }
  const shape = { isChat, model: question.model, created: service.unixSeconds() }
  const id = service.newId(isChat ? 'chatcmpl-' : 'cmpl-')
  const writer = body.stream === true ? new EventWriter(res, { shape, id, body }) : null
  const answer = await service.answer(question, {
    ...askingOf(req, res),
    onText: writer ? (text) => writer.text(text) : undefined,
  })
  if (writer) writer.end(answer)
  else sendJson(res, 200, answerObject(answer, shape))
}

function askingOf(req: Asked, res: Reply): Asking {
  const left = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) left.abort()
  })
  return {
    caller: {
      headers: req.headers,
      isLocal: isLocal(req),
      path: req.url,
      respond: (headers) => {
        if (!res.headersSent)
          for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
      },
    },
    parentAction: parentActionOf(req),
    signal: left.signal,
    deadlineMs: deadlineOf(req),
  }
}

/** The hash of the action that an answer serves; it goes into the receipt. */
function parentActionOf({ headers }: Asked): Hex | undefined {
  const text = headers[PARENT_HEADER]
  if (text === undefined) return undefined
  if (/^0x[0-9a-f]{64}$/.test(String(text))) return text as Hex
  throw invalid(PARENT_HEADER, `${PARENT_HEADER} must be 32 bytes of 0x hex in lower case`)
}

function deadlineOf(req: Asked): number | undefined {
  const text = req.headers[DEADLINE_HEADER]
  if (text === undefined) return undefined
  const ms = Number(text)
  if (Number.isInteger(ms) && ms >= DEADLINE_MS_MIN && ms <= DEADLINE_MS_MAX) return ms
  throw invalid(
    DEADLINE_HEADER,
    `${DEADLINE_HEADER} is '${text}'; it must be ${DEADLINE_MS_MIN} to ${DEADLINE_MS_MAX} milliseconds`,
  )
}

async function operate(
  { req, res, modules, options }: Request,
  work: (body: Body, catalogue: Catalogue) => Promise<string>,
): Promise<void> {
  if (!isLocal(req) && !modules.isOperator?.(req)) {
    throw userError(
      'not-local',
      "adapters are loaded by clients on the node's own machine, or with the operator's token",
    )
  }
  const text = await work(await readJson(req, options.bodyBytesMax), modules.catalogue)
  res.writeHead(200, { 'content-type': 'text/plain' })
  res.end(text)
}
