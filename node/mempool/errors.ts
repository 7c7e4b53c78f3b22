/**
 * Why the pool does not take a transaction that is well-formed in itself. What is wrong with the
 * transaction as such (signature, chain id, funds, nonce too low) is the chain's `TxError`; both carry
 * a stable `code` and a message meant for the sender.
 */
import { TxError } from '../chain/errors.ts'

export type PoolErrorCode =
  | 'already-known'
  | 'replacement-underpriced'
  | 'tx-too-large'
  | 'tx-gas-too-high'
  | 'tip-too-low'
  | 'nonce-gap'
  | 'account-queue-full'
  | 'delegated-account-busy'
  | 'overdraft'
  | 'pool-full'
  | 'computes-too-long'

export class PoolError extends Error {
  readonly code: PoolErrorCode
  readonly data: Readonly<Record<string, bigint | number | string>>

  constructor(
    code: PoolErrorCode,
    message: string,
    data: Readonly<Record<string, bigint | number | string>> = {},
  ) {
    super(message)
    this.name = 'PoolError'
    this.code = code
    this.data = data
  }
}

/** The sender's transaction is refused, nothing of ours failed. */
export function isRefusal(error: unknown): error is PoolError | TxError {
  return error instanceof PoolError || error instanceof TxError
}
