/** JSON-RPC to a running node, for commands that ask one. */
import { messageOf, NodeError } from '../../node/base/errors.ts'

const TIMEOUT_MS = 5_000

export type Rpc = <T>(method: string, ...params: unknown[]) => Promise<T>

/** @throws NodeError `rpc-unreachable`, `rpc-refused` */
export function rpcTo(url: string, timeoutMs: number = TIMEOUT_MS): Rpc {
  return async <T>(method: string, ...params: unknown[]): Promise<T> => {
    let body: { result?: T; error?: { code: number; message: string } }
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      body = (await response.json()) as typeof body
    } catch (error) {
      const cause = error instanceof Error && error.cause ? error.cause : error
      throw new NodeError('rpc-unreachable', 'retry', `${url} does not answer: ${messageOf(cause)}`)
    }
    if (body.error) {
      throw new NodeError(
        'rpc-refused',
        'user',
        `${url} refuses ${method}: ${body.error.message}`,
        {
          code: body.error.code,
        },
      )
    }
    return body.result as T
  }
}
