/**
 * `POST /l1`: a page's way to L1 where there is no wallet that has one (the devnet's accounts). Open only with `--web-l1`,
 * because every call costs the operator's L1 endpoint. What bridging needs and nothing more: a fixed list of methods, each
 * bounded, a fixed number at once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from '../base/body.ts'
import { messageOf } from '../base/errors.ts'
import { L1CallError } from '../l1/errors.ts'
import { COST } from '../rpc/method.ts'

const PREFIX = '/l1'

const METHODS: ReadonlySet<string> = new Set([
  'eth_blockNumber',
  'eth_call',
  'eth_chainId',
  'eth_estimateGas',
  'eth_feeHistory',
  'eth_gasPrice',
  'eth_getBalance',
  'eth_getBlockByNumber',
  'eth_getCode',
  'eth_getLogs',
  'eth_getTransactionByHash',
  'eth_getTransactionCount',
  'eth_getTransactionReceipt',
  'eth_maxPriorityFeePerGas',
  'eth_sendRawTransaction',
])
const BODY_BYTES_MAX = 256 * 1024
const CALLS_AT_ONCE_MAX = 16

/** JSON-RPC 2.0 and geth's codes. */
const CODE = { parse: -32700, request: -32600, method: -32601, limit: -32005, server: -32000 }

export type L1Request = (
  method: string,
  params: readonly unknown[],
  parse: (result: unknown) => unknown,
) => Promise<unknown>

export const l1Route = (client: {
  request: L1Request
}): { prefix: string; cost: number; handle: ReturnType<typeof l1Handler> } => ({
  prefix: PREFIX,
  cost: COST.scan,
  handle: l1Handler((method, params, parse) => client.request(method, params, parse)),
})

export function l1Handler(
  request: L1Request,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  let running = 0
  return async (req, res) => {
    const type = req.headers['content-type']?.split(';', 1)[0]
    if (req.method !== 'POST' || type !== 'application/json') {
      return answer(res, 405, null, failure(CODE.request, 'POST of application/json only'))
    }
    const call = parseCall(await readBody(req, BODY_BYTES_MAX))
    if ('error' in call) return answer(res, 200, call.id, call)
    if (running >= CALLS_AT_ONCE_MAX) {
      const message = `${running} calls to L1 are under way; try again in a moment`
      return answer(res, 200, call.id, failure(CODE.limit, message))
    }
    running++
    try {
      const result = await request(call.method, call.params, (value) => value)
      answer(res, 200, call.id, { result })
    } catch (error) {
      const code = error instanceof L1CallError ? error.rpcCode : CODE.server
      const data = error instanceof L1CallError ? error.rpcData : undefined
      answer(res, 200, call.id, failure(code, messageOf(error), data))
    } finally {
      running--
    }
  }
}

type Failure = { readonly error: { code: number; message: string; data?: unknown } }
type Call = { readonly id: unknown; readonly method: string; readonly params: unknown[] }

const failure = (code: number, message: string, data?: unknown): Failure => ({
  error: { code, message, ...(data !== undefined && { data }) },
})

function parseCall(body: Buffer | null): Call | ({ readonly id: unknown } & Failure) {
  if (body === null) {
    return { id: null, ...failure(CODE.request, `at most ${BODY_BYTES_MAX} bytes`) }
  }
  let call: unknown
  try {
    call = JSON.parse(body.toString('utf8'))
  } catch {
    return { id: null, ...failure(CODE.parse, 'the body is not JSON') }
  }
  if (typeof call !== 'object' || call === null || Array.isArray(call)) {
    return { id: null, ...failure(CODE.request, 'one call at a time, as an object') }
  }
  const { id = null, method, params = [] } = call as Partial<Call>
  if (typeof method !== 'string' || !METHODS.has(method)) {
    const named = String(method).slice(0, 60)
    return {
      id,
      ...failure(CODE.method, `${named} is not let through to L1: ${[...METHODS].join(', ')}`),
    }
  }
  if (!Array.isArray(params)) return { id, ...failure(CODE.request, 'params must be a list') }
  return { id, method, params }
}

function answer(res: ServerResponse, status: number, id: unknown, body: object): void {
  res
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', ...body, id }))
}
