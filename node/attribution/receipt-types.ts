/** InferenceReceipt as EIP-712 data: the types alone, so that a browser can hash one too. */
import type { Hex } from '../../genesis/addresses.ts'

export type InferenceReceipt = {
  readonly requestId: Hex
  readonly payer: Hex
  readonly provider: Hex
  readonly modelId: Hex
  readonly baseHash: Hex
  readonly adapterHash: Hex
  readonly tokenizerHash: Hex
  readonly promptCommit: Hex
  readonly outputCommit: Hex
  readonly tokensIn: number
  readonly tokensOut: number
  readonly seed: bigint
  readonly samplerHash: Hex
  readonly traceRoot: Hex
  readonly policyId: number
  readonly sketchHash: Hex
  readonly claimsHash: Hex
  readonly attributionRoot: Hex
  /** wei of OPEN. */
  readonly fee: bigint
  /** Unix seconds; informative, nothing depends on them. */
  readonly startedAt: bigint
  readonly finishedAt: bigint
  readonly parentAction: Hex
}

export const RECEIPT_TYPES = {
  InferenceReceipt: [
    { name: 'requestId', type: 'bytes32' },
    { name: 'payer', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'modelId', type: 'bytes32' },
    { name: 'baseHash', type: 'bytes32' },
    { name: 'adapterHash', type: 'bytes32' },
    { name: 'tokenizerHash', type: 'bytes32' },
    { name: 'promptCommit', type: 'bytes32' },
    { name: 'outputCommit', type: 'bytes32' },
    { name: 'tokensIn', type: 'uint32' },
    { name: 'tokensOut', type: 'uint32' },
    { name: 'seed', type: 'uint64' },
    { name: 'samplerHash', type: 'bytes32' },
    { name: 'traceRoot', type: 'bytes32' },
    { name: 'policyId', type: 'uint32' },
    { name: 'sketchHash', type: 'bytes32' },
    { name: 'claimsHash', type: 'bytes32' },
    { name: 'attributionRoot', type: 'bytes32' },
    { name: 'fee', type: 'uint256' },
    { name: 'startedAt', type: 'uint64' },
    { name: 'finishedAt', type: 'uint64' },
    { name: 'parentAction', type: 'bytes32' },
  ],
} as const
