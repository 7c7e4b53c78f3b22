/** Ends work that takes too long, with the name of the limit that ended it. */
import type { RpcContext } from './context.ts'
import { RPC, RpcError } from './errors.ts'
import type { RpcOptions } from './options.ts'

/** The clock is read once in so many questions. */
const QUESTIONS_PER_LOOK = 64

type TimeLimit = {
  readonly [K in keyof RpcOptions]: RpcOptions[K] extends number ? K : never
}[keyof RpcOptions]

/** To be asked often while something runs; throws when `ms` have passed since now. */
export function deadline(
  { now }: Pick<RpcContext, 'now'>,
  ms: number,
  limit: TimeLimit,
): () => void {
  const end = now() + ms
  let questions = 0
  return () => {
    if (++questions % QUESTIONS_PER_LOOK !== 0) return
    if (now() <= end) return
    throw new RpcError(
      RPC.timeout,
      `execution aborted: it took longer than ${ms} ms (limit ${limit}): ask for less, or of a node that allows more`,
      { limit, ms },
    )
  }
}

export function callDeadline(context: RpcContext): () => void {
  return deadline(context, context.options.callTimeoutMs, 'callTimeoutMs')
}
