/**
 * The app's one way to the node: JSON-RPC by HTTP, calls of one turn in one batch, and subscriptions by one WebSocket
 * that connects again with growing pauses and subscribes again to everything. Nothing else is talked to.
 */
import { createStore, type Store } from './store.ts'

/** JSON-RPC refused; `code` is the node's. */
export class RpcError extends Error {
  readonly code: number
  readonly data: unknown
  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.name = 'RpcError'
    this.code = code
    this.data = data
  }
}

/** The node does not answer at all. */
export class OfflineError extends Error {
  override name = 'OfflineError'
}

type Answer = {
  id: number
  result?: unknown
  error?: { code: number; message: string; data?: unknown }
}
type Waiting = {
  id: number
  method: string
  params: unknown[]
  done(answer: Answer): void
  failed(error: Error): void
}

const BATCH_MAX = 50
const TIMEOUT_MS = 30_000
/** These compute for long, or ask peer after peer: each goes alone, so that nothing waits for it, and is waited for longer. */
const SLOW: ReadonlySet<string> = new Set([
  'openledger_draftJob',
  'openledger_submitJob',
  'openledger_getAttribution',
  'openledger_getVersionProfile',
  'openledger_getContent',
  'openledger_getMedia',
])
const SLOW_TIMEOUT_MS = 300_000
const RECONNECT_MS = [500, 1_000, 2_000, 4_000, 8_000]

let lastId = 0
let queue: Waiting[] = []

/** @throws RpcError, OfflineError */
export function call<T>(method: string, ...params: unknown[]): Promise<T> {
  return new Promise((resolve, reject) => {
    if (queue.length === 0) queueMicrotask(flush)
    queue.push({
      id: ++lastId,
      method,
      params,
      done: ({ result, error }) =>
        error ? reject(new RpcError(error.code, error.message, error.data)) : resolve(result as T),
      failed: reject,
    })
  })
}

function flush(): void {
  const all = queue.filter(({ method }) => !SLOW.has(method))
  for (const one of queue) if (SLOW.has(one.method)) void send([one], SLOW_TIMEOUT_MS)
  queue = []
  for (let i = 0; i < all.length; i += BATCH_MAX) void send(all.slice(i, i + BATCH_MAX))
}

async function send(batch: Waiting[], timeoutMs: number = TIMEOUT_MS): Promise<void> {
  try {
    const calls = batch.map(({ id, method, params }) => ({ jsonrpc: '2.0', id, method, params }))
    const response = await fetch('/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(calls.length === 1 ? calls[0] : calls),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const body = (await response.json()) as Answer | Answer[]
    const answers = new Map(
      (Array.isArray(body) ? body : [body]).map((answer) => [answer.id, answer]),
    )
    // What is refused as a whole has one error and no id.
    const refusal = Array.isArray(body) ? undefined : body
    for (const waiting of batch) {
      const answer = answers.get(waiting.id) ?? refusal
      if (answer) waiting.done(answer)
      else waiting.failed(new OfflineError(`the node gave no answer to ${waiting.method}`))
    }
  } catch (error) {
    const failure = new OfflineError(
      `The node at ${location.host} does not answer (${(error as Error).message}).`,
    )
    for (const waiting of batch) waiting.failed(failure)
  }
}

/** Whether pushes arrive: `down` after a lost connection, until it is back. */
export const connection: Store<'connecting' | 'up' | 'down'> = createStore<
  'connecting' | 'up' | 'down'
>('connecting')

type Subscription = {
  method: 'eth_subscribe' | 'openledger_subscribe'
  params: unknown[]
  push(item: unknown): void
  id: string | null
}

const subscriptions = new Set<Subscription>()
const requests = new Map<number, (answer: Answer) => void>()
let socket: WebSocket | null = null
let attempts = 0

/**
 * Calls `push` for each item until the returned function is called; over lost connections too (what happened
 * meanwhile is not told: read it again when `connection` goes up).
 */
export function subscribe<T>(
  method: Subscription['method'],
  params: unknown[],
  push: (item: T) => void,
): () => void {
  const subscription: Subscription = {
    method,
    params,
    push: push as (item: unknown) => void,
    id: null,
  }
  subscriptions.add(subscription)
  connect()
  if (socket?.readyState === WebSocket.OPEN) begin(subscription)
  return () => {
    subscriptions.delete(subscription)
    if (subscription.id !== null) request('eth_unsubscribe', [subscription.id], () => {})
  }
}

function connect(): void {
  if (socket) return
  const opened = new WebSocket(
    `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`,
  )
  socket = opened
  opened.onopen = () => {
    attempts = 0
    connection.set('up')
    for (const subscription of subscriptions) begin(subscription)
  }
  opened.onmessage = ({ data }) => receive(JSON.parse(String(data)))
  opened.onclose = () => {
    socket = null
    requests.clear()
    for (const subscription of subscriptions) subscription.id = null
    connection.set('down')
    const pause = RECONNECT_MS[Math.min(attempts++, RECONNECT_MS.length - 1)]
    setTimeout(connect, pause)
  }
}

function begin(subscription: Subscription): void {
  request(subscription.method, subscription.params, ({ result, error }) => {
    if (error) return console.warn(`${subscription.method}: ${error.message}`)
    subscription.id = result as string
    if (!subscriptions.has(subscription)) request('eth_unsubscribe', [result], () => {})
  })
}

function request(method: string, params: unknown[], done: (answer: Answer) => void): void {
  if (socket?.readyState !== WebSocket.OPEN) return
  const id = ++lastId
  requests.set(id, done)
  socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
}

type Push = { params: { subscription: string; result: unknown } }

function receive(message: Answer | Push): void {
  if ('params' in message) {
    for (const { id, push } of subscriptions) {
      if (id === message.params.subscription) push(message.params.result)
    }
    return
  }
  requests.get(message.id)?.(message)
  requests.delete(message.id)
}
