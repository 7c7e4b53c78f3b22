/**
 * Codes of store errors. All are for the operator: the database is another chain's, of another
 * version, damaged, or in use.
 */
import { NodeError } from '../base/errors.ts'

export type StoreErrorCode =
  | 'store-locked'
  | 'store-open-failed'
  | 'store-schema'
  | 'store-other-chain'
  | 'store-damaged'
  | 'store-write-failed'

export function storeError(code: StoreErrorCode, message: string, cause?: unknown): NodeError {
  return new NodeError(code, 'fatal', message, {}, cause)
}

export function diskFullError(path: string, detail: string, cause?: unknown): NodeError {
  return new NodeError(
    'disk-full',
    'fatal',
    `the disk of ${path} is full (${detail}): free some space and start again; nothing shown was lost`,
    {},
    cause,
  )
}
