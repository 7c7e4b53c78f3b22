/**
 * Signed peer records (libp2p RFC 0003): where a peer says it can be reached, signed with its own
 * key, so that anyone can pass them on and nobody can make them up.
 */
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import type { Multiaddr } from '@multiformats/multiaddr'
import { messageOf } from '../base/errors.ts'
import { P2PError } from './errors.ts'
import { PEER_ADDRESSES_MAX, PEER_RECORD_BYTES_MAX } from './options.ts'
import type { Peer } from './types.ts'

export type KnownPeer = {
  readonly peer: Peer
  readonly addresses: readonly Multiaddr[]
  /** As signed: what is stored and handed on. */
  readonly record: Uint8Array
}

/** @throws P2PError `bad-message` when it is no record, not signed by its peer, or too large. */
export async function openPeerRecord(record: Uint8Array): Promise<KnownPeer> {
  if (record.length > PEER_RECORD_BYTES_MAX) {
    throw new P2PError(
      'bad-message',
      `a peer record of ${record.length} bytes, at most ${PEER_RECORD_BYTES_MAX}`,
    )
  }
  try {
    const envelope = await RecordEnvelope.openAndCertify(record, PeerRecord.DOMAIN)
    const { peerId, multiaddrs } = PeerRecord.createFromProtobuf(envelope.payload)
    if (!peerId.publicKey?.equals(envelope.publicKey)) throw new Error('signed by another peer')
    if (multiaddrs.length > PEER_ADDRESSES_MAX) throw new Error(`${multiaddrs.length} addresses`)
    return { peer: peerId.toString(), addresses: multiaddrs, record }
  } catch (error) {
    throw new P2PError('bad-message', `not a signed peer record: ${messageOf(error)}`, error)
  }
}
