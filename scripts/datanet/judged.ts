/**
 * What a failed look at somebody's content says of the content. One place decides, by the error's code:
 *
 *   its bytes are not what was committed to, or are not what they must be -> wrong
 *   nobody shows it now, after `rpcTo` has asked some times               -> unavailable: nothing is known of it
 *   the node is not there, asks to be asked less, or has no such method   -> thrown: it is about the node
 */
import { messageOf, NodeError } from '../../node/base/errors.ts'

export type Judged<T> =
  | { readonly kind: 'right'; readonly value: T }
  | { readonly kind: 'wrong' | 'unavailable'; readonly why: string }

/** Of errors of our own decoders and of the node's: content that no honest contributor gives. */
const WRONG: ReadonlySet<string> = new Set([
  'content-corrupt',
  'content-too-large',
  'datanet-content',
  'datanet-format',
  'datanet-media',
  'datanet-rows',
  'datanet-row',
  'datanet-schema',
])

/** @throws NodeError what says nothing of the content */
export async function judged<T>(look: () => Promise<T>): Promise<Judged<T>> {
  try {
    return { kind: 'right', value: await look() }
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    // What the node said, when it is its word.
    const code = error.data.said ?? error.code
    if (typeof code === 'string' && WRONG.has(code)) return { kind: 'wrong', why: messageOf(error) }
    if (error.code === 'rpc-unavailable') return { kind: 'unavailable', why: messageOf(error) }
    throw error
  }
}
