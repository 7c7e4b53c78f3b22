/**
 * JSON-RPC 2.0: from the bytes of a request to the text of an answer. Nothing thrown leaves this file:
 * whatever comes in, the caller gets an answer, or null where none is due (notifications).
 *
 *   bytes -> JSON -> one request or a batch -> method -> parameters -> handler -> answer
 */
import { messageOf } from '../base/errors.ts'
import type { RpcContext } from './context.ts'
import { RPC, RpcError, rpcErrorOf } from './errors.ts'
import { COST, type Json, type RpcMethod, type RpcMethods } from './method.ts'
import { RateLimit } from './rate.ts'
import type { Session } from './session.ts'
import type { Offload } from './workers/pool.ts'
import type { Outcome } from './workers/protocol.ts'

type Id = string | number | null

const SHOWN_CHARACTERS_MAX = 80

export class Dispatcher {
  readonly #context: RpcContext
  readonly #methods: ReadonlyMap<string, RpcMethod>
  readonly #rate: RateLimit
  readonly #offload: Offload | null

  /** `offload`: where methods run that may take long; null: here. */
  constructor(context: RpcContext, methods: RpcMethods, offload: Offload | null = null) {
    this.#context = context
    this.#methods = new Map(Object.entries(methods))
    this.#rate = new RateLimit(context)
    this.#offload = offload
  }

  get methodNames(): string[] {
    return [...this.#methods.keys()]
  }

  /** The text of the answer; null when there is nothing to say. `client`: whose rate it counts against. */
  async handle(
    body: Uint8Array,
    session: Session | null = null,
    client = '',
  ): Promise<string | null> {
    const { options } = this.#context
    let request: unknown
    try {
      request = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    } catch {
      return failure(null, new RpcError(RPC.parse, 'parse error: the request is not JSON in UTF-8'))
    }
    if (!Array.isArray(request)) {
      return this.#one(this.#enter(request, client), session, options.responseBytesMax)
    }
    if (request.length === 0) return failure(null, invalidRequest('an empty batch'))
    if (request.length > options.batchMax) {
      const what = `a batch of ${request.length} requests, at most ${options.batchMax}`
      return failure(null, invalidRequest(what))
    }
    const answers: string[] = []
    let room = options.responseBytesMax
    const entries = request.map((entry) => this.#prepare(this.#enter(entry, client)))
    for (const entry of entries) {
      const answer = await this.#one(entry, session, room)
      if (answer === null) continue
      room = Math.max(0, room - answer.length)
      answers.push(answer)
    }
    return answers.length ? `[${answers.join(',')}]` : null
  }

  #enter(request: unknown, client: string): Entry {
    const read = readRequest(request)
    if ('error' in read) return read
    const fault = this.#rateFault(client, read.name)
    return fault ? { ...read, fault } : read
  }

  /** Lets a method begin with its slow part; the arguments it was shown are those it will get. */
  #prepare(entry: Entry): Entry {
    if ('error' in entry || entry.fault) return entry
    const method = this.#methods.get(entry.name)
    if (!method?.prepare) return entry
    try {
      const args = readArguments(method, entry.params)
      method.prepare(this.#context, args)
      return { ...entry, args }
    } catch {
      return entry
    }
  }

  async #one(entry: Entry, session: Session | null, room: number): Promise<string | null> {
    if ('error' in entry) return failure(entry.id, entry.error)
    const { id, name, params, args, fault } = entry
    const outcome = fault ?? (await this.outcome(name, params, session, args))
    if (id === undefined) return null
    return outcome.ok ? success(id, outcome.text, room) : failure(id, outcome)
  }

  /** How long a client has to wait before it may ask for what costs so much; 0, and counted, when it may now. */
  waitMs(client = '', cost: number): number {
    return cost === 0 ? 0 : this.#rate.waitMs(client, cost)
  }

  /** null when the client may ask. Counted once, on the thread that took the request. */
  #rateFault(client: string, name: string): Outcome | null {
    try {
      this.#rate.take(client, this.#methods.get(name)?.cost ?? COST.read)
      return null
    } catch (error) {
      const { code, message, data } = this.#errorOf(error, name)
      return { ok: false, code, message, ...(data === undefined ? {} : { data }) }
    }
  }

  /** What a method gives, without the envelope; `read`: its arguments, when they are read. Never rejects. */
  async outcome(
    name: string,
    params: unknown,
    session: Session | null = null,
    read: readonly unknown[] | undefined = undefined,
  ): Promise<Outcome> {
    const started = performance.now()
    const outcome = await this.#outcome(name, params, session, read)
    const method = this.#methods.has(name) ? name : 'unknown'
    const seconds = (performance.now() - started) / 1000
    this.#context.observe(method, seconds, outcome.ok ? 'ok' : 'error')
    return outcome
  }

  async #outcome(
    name: string,
    params: unknown,
    session: Session | null,
    read: readonly unknown[] | undefined,
  ): Promise<Outcome> {
    try {
      const found = this.#methods.get(name)
      if (!found) throw methodNotFound(name)
      if (found.needsSession && !session) {
        throw new RpcError(
          RPC.methodNotFound,
          `${name} works over WebSocket only: connect with ws://`,
        )
      }
      if (found.aside && this.#offload) return await this.#offload.call(name, params)
      const args = read ?? readArguments(found, params)
      const result = await found.handler(this.#context, args, session)
      return { ok: true, text: JSON.stringify(result ?? null) }
    } catch (error) {
      const { code, message, data } = this.#errorOf(error, name)
      return { ok: false, code, message, ...(data === undefined ? {} : { data }) }
    }
  }

  #errorOf(error: unknown, name: string): RpcError {
    const known = rpcErrorOf(error)
    if (known) return known
    const stack = error instanceof Error ? error.stack : undefined
    this.#context.log.error('method failed', { method: name, error: messageOf(error), stack })
    return new RpcError(RPC.internal, `internal error in ${name}: see the node's log`)
  }
}

/** `id` undefined: a notification. */
type Request = { readonly id: Id | undefined; readonly name: string; readonly params: unknown }

type Unreadable = { readonly id: Id; readonly error: RpcError }
/** `fault`: refused before it ran; `args`: read already. */
type Entry =
  | Unreadable
  | (Request & { readonly fault?: Outcome; readonly args?: readonly unknown[] })

function readRequest(request: unknown): Request | Unreadable {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    return { id: null, error: invalidRequest('a request is an object') }
  }
  const own = (name: string): unknown =>
    Object.hasOwn(request, name) ? (request as Record<string, unknown>)[name] : undefined
  const id = own('id')
  if (id !== undefined && !isId(id)) {
    return { id: null, error: invalidRequest('id is a string, a number or null') }
  }
  const fault = (what: string) => ({ id: id ?? null, error: invalidRequest(what) })
  if (own('jsonrpc') !== '2.0') return fault('jsonrpc is not "2.0"')
  const name = own('method')
  if (typeof name !== 'string') return fault('method is not a string')
  const params = own('params')
  if (params !== undefined && params !== null && typeof params !== 'object') {
    return fault('params is neither a list nor an object')
  }
  return { id, name, params: params ?? [] }
}

function isId(value: unknown): value is Id {
  return value === null || typeof value === 'string' || typeof value === 'number'
}

/** By position, or by name. @throws RpcError -32602 */
function readArguments({ params }: RpcMethod, given: unknown): unknown[] {
  if (Array.isArray(given)) {
    if (given.length > params.length) {
      const message = `too many arguments: ${given.length}, want at most ${params.length}`
      throw new RpcError(RPC.invalidParams, message)
    }
    return params.map((param, i) => param.read(given[i], i))
  }
  const byName = given as Record<string, unknown>
  const unknown = Object.keys(byName).find((name) => !params.some((param) => param.name === name))
  if (unknown !== undefined) {
    const known = params.map((param) => param.name).join(', ') || 'none'
    throw new RpcError(RPC.invalidParams, `unknown argument ${short(unknown)}; known: ${known}`)
  }
  return params.map((param, i) =>
    param.read(Object.hasOwn(byName, param.name) ? byName[param.name] : undefined, i),
  )
}

function invalidRequest(what: string): RpcError {
  return new RpcError(RPC.invalidRequest, `invalid request: ${what}`)
}

function methodNotFound(name: string): RpcError {
  return new RpcError(
    RPC.methodNotFound,
    `the method ${short(name)} does not exist/is not available; rpc.discover lists all`,
  )
}

function short(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
}

function success(id: Id, result: string, room: number): string {
  const text = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
  if (text.length <= room) return text
  const message = `response too large: ${text.length} bytes, ${room} left: ask for less`
  return failure(id, new RpcError(RPC.responseTooLarge, message))
}

function failure(
  id: Id,
  {
    code,
    message,
    data,
  }: Pick<RpcError, 'code' | 'message'> & { readonly data?: Json | undefined },
): string {
  const error = { code, message, ...(data === undefined ? {} : { data }) }
  return JSON.stringify({ jsonrpc: '2.0', id, error })
}
