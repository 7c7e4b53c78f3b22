/**
 * A look at somebody's content through the node, judged by the code of what fails (`node/datanet/judge.ts`). A node that asks to be
 * asked less, or whose peers do not show it now, is asked again, `TRIES_MAX` times in all.
 */
import { isWrongContent, type Judged } from '../../../datanet/judge.ts'
import { RpcError } from './rpc.ts'

/** JSON-RPC's codes of the node (`node/rpc/errors.ts`). */
const [UNAVAILABLE, LIMIT_EXCEEDED] = [-32_002, -32_005]
const TRIES_MAX = 4
/** After the first try, doubling; the node may ask for more, up to the last. */
const AGAIN_MS = 250
const AGAIN_MS_MAX = 10_000

type Data = { readonly code?: unknown; readonly retryAfterMs?: number } | undefined

const pause = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms))

/** @param again waits, ms @throws what says nothing of the content: the node is not there, or asks to be asked less */
export async function judged<T>(
  look: () => Promise<T>,
  again: (ms: number) => Promise<unknown> = pause,
): Promise<Judged<T>> {
  for (let tries = 1; ; tries++) {
    try {
      return { kind: 'right', value: await look() }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const data = error instanceof RpcError ? (error.data as Data) : undefined
      const said = error instanceof RpcError ? data?.code : (error as { code?: unknown }).code
      if (isWrongContent(said)) return { kind: 'wrong', why }
      const code = error instanceof RpcError ? error.code : null
      const isBusy = code === LIMIT_EXCEEDED && data?.retryAfterMs !== undefined
      const isUnavailable = code === UNAVAILABLE && said !== undefined
      if (!isBusy && !isUnavailable) throw error
      if (tries === TRIES_MAX && isBusy) throw error
      if (tries === TRIES_MAX) return { kind: 'unavailable', why }
      const wait = Math.max(data?.retryAfterMs ?? 0, AGAIN_MS * 2 ** (tries - 1))
      await again(Math.min(AGAIN_MS_MAX, wait))
    }
  }
}
