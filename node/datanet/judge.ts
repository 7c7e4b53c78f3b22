/**
 * What a failed look at somebody's content says of the content, by the error's code: the command line and the web app publish
 * versions by it, and leave contributions out by nothing else.
 *
 *   its bytes are not what was committed to, or are not what they must be -> wrong
 *   nobody shows it now                                                   -> unavailable: nothing is known of it
 *   anything else                                                         -> it is about the node that was asked
 */

export type Judged<T> =
  | { readonly kind: 'right'; readonly value: T }
  | { readonly kind: 'wrong' | 'unavailable'; readonly why: string }

/** Of errors of decoders, and of a node: content that no honest contributor gives. */
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

export const isWrongContent = (code: unknown): boolean =>
  typeof code === 'string' && WRONG.has(code)
