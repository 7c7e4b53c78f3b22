/**
 * The nouns of the p2p room, and libp2p's own types by the names used here (taken from
 * libp2p itself, so that no further package has to be named).
 */
import type { Libp2p } from 'libp2p'
import type { Hex } from '../base/bytes.ts'
import type { Block } from '../chain/types.ts'

type StreamHandler = Parameters<Libp2p['handle']>[1]
export type Stream = Parameters<StreamHandler>[0]
type Connection = Parameters<StreamHandler>[1]
export type PeerId = Connection['remotePeer']

/** A peer's id as text: what logs, maps and our API use. */
export type Peer = string

/** A block as its signer published it: RLP bytes and r || s || v over them. Kept together for good,
 * so that any node can prove any unsafe block to any other. */
export type SignedBlock = { readonly block: Uint8Array; readonly signature: Uint8Array }

/** The same, read. */
export type VerifiedBlock = SignedBlock & { readonly decoded: Block }

/** A signed statement of any node: a receipt announcement, an attestation or a verdict. */
export type Envelope = { readonly payload: Uint8Array; readonly signature: Uint8Array }

export type GossipKind = 'blocks' | 'transactions' | 'receipts' | 'verdicts'
export type EnvelopeKind = 'receipts' | 'verdicts'
/** What is signed alike: what is gossiped, and a provider's word on what it computed. */
export type StatementKind = EnvelopeKind | 'openings'

/** What a subscriber of `P2P.on` gets; `from` is who forwarded it, not who made it. */
export type GossipEvents = {
  readonly blocks: VerifiedBlock & { readonly from: Peer }
  readonly transactions: { readonly raw: Uint8Array; readonly from: Peer }
  readonly receipts: { readonly payload: Uint8Array; readonly signer: Hex; readonly from: Peer }
  readonly verdicts: { readonly payload: Uint8Array; readonly signer: Hex; readonly from: Peer }
}

/** What became of a block handed to the chain. `invalid` is the signer's fault, not the peer's. */
export type ImportOutcome =
  | { readonly kind: 'imported' }
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown-parent' }
  | { readonly kind: 'invalid'; readonly reason: string }

/** Milliseconds since the epoch. */
export type Clock = () => number
