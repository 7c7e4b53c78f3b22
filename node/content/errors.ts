/**
 * What can go wrong with content. `content-corrupt` and `content-missing` name the hash, so that the
 * caller can fetch it again; the rest are faults of what was handed in.
 */
import type { Hex } from '../base/bytes.ts'
import { NodeError, type Severity } from '../base/errors.ts'

export type ContentErrorCode =
  | 'content-missing'
  | 'content-corrupt'
  | 'content-too-large'
  | 'bad-content-hash'
  | 'bad-range'
  | 'bad-manifest'
  | 'bad-name'
  | 'bad-directory'
  | 'target-exists'
  | 'hash-thread'

const SEVERITY: Record<ContentErrorCode, Severity> = {
  'content-missing': 'retry',
  'content-corrupt': 'retry',
  'content-too-large': 'user',
  'bad-content-hash': 'user',
  'bad-range': 'user',
  'bad-manifest': 'user',
  'bad-name': 'user',
  'bad-directory': 'user',
  'target-exists': 'user',
  'hash-thread': 'retry',
}

export class ContentError extends NodeError {
  declare readonly code: ContentErrorCode

  constructor(code: ContentErrorCode, message: string, data: { hash?: Hex; name?: string } = {}) {
    super(code, SEVERITY[code], message, data)
    this.name = 'ContentError'
  }
}
