/**
 * The pool's word on a transaction that came by gossip. Only what every node can tell from the bytes
 * alone costs the peer that passed it on; what depends on our state or our taste does not.
 */
import type { Hex } from '../base/bytes.ts'
import { TxError, type TxErrorCode } from '../chain/errors.ts'
import { isRefusal } from './errors.ts'

const FROM_THE_BYTES_ALONE: ReadonlySet<TxErrorCode> = new Set([
  'malformed',
  'type-not-supported',
  'deposit-not-allowed',
  'wrong-chain-id',
  'bad-signature',
] as const)

/** Takes it in when it can. valid: it is in, pass it on. */
export function judgeTransaction(
  pool: { add(raw: Uint8Array): Hex },
  raw: Uint8Array,
): 'valid' | 'unwanted' | 'bad-encoding' {
  try {
    pool.add(raw)
    return 'valid'
  } catch (error) {
    if (!isRefusal(error)) throw error
    const objective = error instanceof TxError && FROM_THE_BYTES_ALONE.has(error.code)
    return objective ? 'bad-encoding' : 'unwanted'
  }
}
