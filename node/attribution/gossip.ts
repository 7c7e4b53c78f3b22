/** Gossiped statements about receipts: who signs one here, and what one is worth from its bytes alone. */
import type { Hex } from '../base/bytes.ts'
import type { NodeSigners } from '../keys/resolve.ts'
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

/** A verdict is the validator's word, an announcement the provider's. undefined: this node states nothing. */
export function statementsBy({
  provider,
  validator,
}: NodeSigners):
  | ((kind: 'receipts' | 'verdicts', preimage: Uint8Array) => Promise<Uint8Array>)
  | undefined {
  const [announcer, judge] = [provider ?? validator, validator ?? provider]
  if (!announcer || !judge) return undefined
  return (kind, preimage) => (kind === 'verdicts' ? judge : announcer).sign('envelope', preimage)
}
