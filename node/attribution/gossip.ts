/** What a gossiped statement about receipts is worth, from its bytes alone. */
import type { Hex } from '../base/bytes.ts'
import { decodeVerdict } from './ledger.ts'

/** receipt hash 32 || trace hash 32 || how many times it was announced before 1 */
const ANNOUNCEMENT_BYTES = 65

export function judgeEnvelope(
  kind: 'receipts' | 'verdicts',
  { payload, signer }: { readonly payload: Uint8Array; readonly signer: Hex },
): 'valid' | 'bad-encoding' {
  const good =
    kind === 'receipts'
      ? payload.length === ANNOUNCEMENT_BYTES
      : decodeVerdict(payload)?.validator === signer
  return good ? 'valid' : 'bad-encoding'
}
