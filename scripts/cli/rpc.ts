/**
 * JSON-RPC to a running node, for commands that ask one. A node that cannot answer now (it asks to be asked less, or its peers
 * do not show something) is asked again, `TRIES_MAX` times in all, ever later; what that error says of the thing asked for is
 * nothing, so it has a code of its own.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, NodeError } from '../../node/base/errors.ts'
import { RPC } from '../../node/rpc/errors.ts'

const TIMEOUT_MS = 5_000
const TRIES_MAX = 4
/** After the first try, doubling; a node that says how long to wait is believed up to the last. */
const AGAIN_MS = 250
const AGAIN_MS_MAX = 10_000

export type Rpc = <T>(method: string, ...params: unknown[]) => Promise<T>

type RpcFailure = {
  readonly code: number
  readonly message: string
  readonly data?: { readonly code?: unknown; readonly retryAfterMs?: unknown }
}

/**
 * @param again waits, ms
 * @throws NodeError `rpc-unreachable`; `rpc-busy` when it asks to be asked less; `rpc-unavailable` when it cannot have what was
 * asked for now; `rpc-refused`. `data.said` is the node's own code, where it gave one.
 */
export function rpcTo(
  url: string,
  timeoutMs: number = TIMEOUT_MS,
  again: (ms: number) => Promise<unknown> = delay,
): Rpc {
  return async <T>(method: string, ...params: unknown[]): Promise<T> => {
    for (let tries = 1; ; tries++) {
      const { result, error } = await ask<T>(url, { method, params, timeoutMs })
      if (!error) return result as T
      const failure = failureOf(error, `${url} refuses ${method}: ${error.message}`)
      if (failure.severity !== 'retry' || tries === TRIES_MAX) throw failure
      const asked = Number(error.data?.retryAfterMs ?? 0)
      await again(Math.min(AGAIN_MS_MAX, Math.max(asked, AGAIN_MS * 2 ** (tries - 1))))
    }
  }
}

async function ask<T>(
  url: string,
  { method, params, timeoutMs }: { method: string; params: unknown[]; timeoutMs: number },
): Promise<{ result?: T; error?: RpcFailure }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    return (await response.json()) as { result?: T; error?: RpcFailure }
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error
    throw new NodeError('rpc-unreachable', 'retry', `${url} does not answer: ${messageOf(cause)}`)
  }
}

function failureOf({ code, data }: RpcFailure, message: string): NodeError {
  const said = typeof data?.code === 'string' ? { said: data.code } : {}
  const isBusy = code === RPC.limitExceeded && data?.retryAfterMs !== undefined
  if (isBusy) return new NodeError('rpc-busy', 'retry', message, { code, ...said })
  // Without a name it is a node that lacks the part: asking again gives the same.
  const isUnavailable = code === RPC.unavailable && said.said !== undefined
  if (isUnavailable) return new NodeError('rpc-unavailable', 'retry', message, { code, ...said })
  return new NodeError('rpc-refused', 'user', message, { code, ...said })
}
