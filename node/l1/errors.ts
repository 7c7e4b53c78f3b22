/**
 * What can go wrong with L1, by what the caller should do. `unavailable` and `invalid` have already
 * been tried on every endpoint when they surface.
 */
import { messageOf, NodeError } from '../base/errors.ts'

/** No endpoint answered, or each answered with an error. Try again later. */
export function l1Unavailable(what: string, cause?: unknown): NodeError {
  const why = cause === undefined ? '' : `: ${messageOf(cause)}`
  return new NodeError('l1-unavailable', 'retry', `L1 did not give ${what}${why}`, {}, cause)
}

/** An endpoint's answer contradicts itself or what is known. Nothing was changed because of it. */
export function l1Invalid(what: string, data: Record<string, unknown> = {}): NodeError {
  return new NodeError('l1-invalid', 'retry', `L1 endpoint gave invalid data: ${what}`, data)
}

/** The endpoint lags behind what L1 is known to have. Another may not. */
export function l1Behind(what: string): NodeError {
  return new NodeError('l1-behind', 'retry', `L1 endpoint lags: ${what}`)
}

/** The block asked for by hash is not there (any more). Start over from a block that is. */
export function l1BlockMissing(id: string): NodeError {
  return new NodeError(
    'l1-block-missing',
    'reset',
    `L1 has no block ${id}; it may have been reorganised`,
  )
}

/** What most endpoints have is another block. This one is on a fork, or lies. */
export function l1Minority(what: string): NodeError {
  return new NodeError('l1-minority', 'retry', `L1 endpoint disagrees with the others: ${what}`)
}

/** Endpoints contradict each other, and none has more than half behind it. Nothing is followed until one has. */
export function l1Disagreement(what: string): NodeError {
  return new NodeError(
    'l1-disagreement',
    'retry',
    `L1 endpoints disagree and none is in the majority: ${what}. Nothing of this is followed; find out which is wrong and take it out of --l1-rpc, or add a third`,
  )
}

/** A fork of L1 has added header fields, and no endpoint shows the header's RLP. */
export function l1HeaderUnread(
  { number, hash }: { number: bigint; hash: string },
  fields: readonly string[],
  cause: unknown,
): NodeError {
  return new NodeError(
    'l1-header-unread',
    'retry',
    `L1 block ${number} (${hash}) has header fields that this version does not know (${fields.join(', ')}), and its RLP cannot be had: ${messageOf(cause)}. Upgrade the node, or give --l1-rpc an endpoint that serves debug_getRawHeader`,
    { fields },
    cause,
  )
}

/** No source has the blob, or what they have does not match its versioned hash. */
export function blobUnavailable(versionedHash: string, block: bigint, causes: string[]): NodeError {
  return new NodeError(
    'l1-blob-unavailable',
    'retry',
    `no source gave blob ${versionedHash} of L1 block ${block} (${causes.join('; ') || 'no source set'}); derivation waits. Add a beacon endpoint that still has it, or copy it into the blob archive`,
    { versionedHash, block },
  )
}

/** The L1 node understood the call and refuses it. `code` is the JSON-RPC code. */
export class L1CallError extends NodeError {
  readonly rpcCode: number
  /** What the endpoint said beside it: of a revert, the bytes it returned. */
  readonly rpcData: unknown

  constructor(method: string, rpcCode: number, message: string, rpcData?: unknown) {
    super('l1-call-refused', 'user', `${method} was refused by L1: ${message} (${rpcCode})`, {
      method,
    })
    this.rpcCode = rpcCode
    this.rpcData = rpcData
  }
}
