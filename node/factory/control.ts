/**
 * Pausing, resuming and cancelling a job: what JobRegistry asks the job's owner for. An owner without gas
 * signs `JobControl` (EIP-712) and anybody may carry it to the chain; the nonce is the number of
 * controls the job has seen.
 */
import { hashTypedData } from 'viem/utils'
import type { Hex } from '../base/bytes.ts'

export const ACTIONS = ['pause', 'resume', 'cancel'] as const
export type Action = (typeof ACTIONS)[number]

const CONTROL_TYPES = {
  JobControl: [
    { name: 'jobId', type: 'bytes32' },
    { name: 'action', type: 'uint8' },
    { name: 'nonce', type: 'uint64' },
  ],
} as const

/** `action` is the position in `ACTIONS`. */
export type Control = { readonly jobId: Hex; readonly action: number; readonly nonce: bigint }
type Domain = { readonly chainId: number; readonly verifyingContract: Hex }

/** What the owner signs. */
export const controlData = (
  control: Control,
  domain: Domain,
): {
  readonly domain: Domain & { readonly name: string; readonly version: string }
  readonly types: typeof CONTROL_TYPES
  readonly primaryType: 'JobControl'
  readonly message: Control
} => ({
  domain: { name: 'OpenLedger', version: '1', ...domain },
  types: CONTROL_TYPES,
  primaryType: 'JobControl',
  message: control,
})

export function controlHash(control: Control, domain: Domain): Hex {
  return hashTypedData(controlData(control, domain))
}
