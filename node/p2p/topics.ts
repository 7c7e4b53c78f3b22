/**
 * Names on the wire, all with the chain id, so that nodes of two chains have nothing to say to each
 * other. The number at the end is the format's version.
 */
import type { GossipKind } from './types.ts'

export const GOSSIP_KINDS: readonly GossipKind[] = [
  'blocks',
  'transactions',
  'receipts',
  'verdicts',
]

export function topicOf(chainId: bigint, kind: GossipKind): string {
  return `/openledger/${chainId}/${kind}/1`
}

export function blocksProtocol(chainId: bigint): string {
  return `/openledger/${chainId}/blocks-by-range/1`
}

export function peersProtocol(chainId: bigint): string {
  return `/openledger/${chainId}/peers/1`
}

export function inferenceProtocol(chainId: bigint): string {
  return `/openledger/${chainId}/inference/1`
}

export function openingsProtocol(chainId: bigint): string {
  return `/openledger/${chainId}/openings/1`
}

export function contentProtocol(chainId: bigint): string {
  return `/openledger/${chainId}/content/1`
}
