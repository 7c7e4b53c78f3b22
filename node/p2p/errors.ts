/**
 * What can go wrong between peers. The code tells the caller what to do: try another peer, wait, or
 * fix its own call; `blame.ts` says what it costs the peer.
 */
import { NodeError, type Severity } from '../base/errors.ts'

export type P2PErrorCode =
  /** Bytes that are no message, or no frame. */
  | 'bad-message'
  | 'too-large'
  /** More content than the caller will take. */
  | 'content-too-large'
  /** A well-formed answer to another question: wrong numbers, links, signer, more than was asked. */
  | 'wrong-answer'
  /** All bytes came and are not the content. */
  | 'wrong-content'
  /** Two peers say different things of one content; who lies is not known yet. */
  | 'disagreement'
  | 'timeout'
  /** The stream or connection ended early. */
  | 'cut-off'
  | 'unreachable'
  | 'rate-limited'
  | 'not-found'
  | 'no-peer'
  | 'busy'
  | 'stopped'
  | 'bad-key'
  | 'bad-address'
  | 'bad-argument'

const SEVERITY: Record<P2PErrorCode, Severity> = {
  'bad-message': 'retry',
  'too-large': 'retry',
  'content-too-large': 'user',
  'wrong-answer': 'retry',
  'wrong-content': 'retry',
  disagreement: 'retry',
  timeout: 'retry',
  'cut-off': 'retry',
  unreachable: 'retry',
  'rate-limited': 'retry',
  'not-found': 'retry',
  'no-peer': 'retry',
  busy: 'retry',
  stopped: 'fatal',
  'bad-key': 'fatal',
  'bad-address': 'user',
  'bad-argument': 'user',
}

export class P2PError extends NodeError {
  declare readonly code: P2PErrorCode

  constructor(code: P2PErrorCode, message: string, cause?: unknown) {
    super(code, SEVERITY[code], message, {}, cause)
    this.name = 'P2PError'
  }
}
