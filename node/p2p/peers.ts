/**
 * Peers by request: "who else do you know?" is answered with signed records of peers the asked one is
 * connected to. Nothing in an answer is believed but that a peer signed its own addresses.
 */
import type { Log } from '../base/log.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { ask, serve } from './exchange.ts'
import type { Host } from './host.ts'
import {
  PEER_RECORD_BYTES_MAX,
  PEERS_PER_REQUEST_MAX,
  PEERS_RATE_GLOBAL,
  PEERS_RATE_PER_PEER,
  REQUEST_TIMEOUT_MS,
} from './options.ts'
import { type KnownPeer, openPeerRecord } from './peer-record.ts'
import { RateTable } from './rate.ts'
import { peersProtocol } from './topics.ts'
import type { Clock, Peer, PeerId } from './types.ts'

export async function servePeers(
  host: Host,
  modules: { chainId: bigint; known: () => readonly KnownPeer[]; clock: Clock },
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  const rates = new RateTable(
    { perPeer: PEERS_RATE_PER_PEER, global: PEERS_RATE_GLOBAL },
    modules.clock,
  )
  await serve(
    host,
    {
      protocol: peersProtocol(modules.chainId),
      kind: 'peersRequest',
      rates,
      answer: ({ count }) => framesOf(modules.known().slice(0, count)),
    },
    context,
  )
}

async function* framesOf(peers: readonly KnownPeer[]): AsyncGenerator<Uint8Array> {
  for (const { record } of peers) yield record
}

/** @throws P2PError `wrong-answer` for more than was asked, `bad-message` for what is no record. */
export async function requestPeersFrom(
  host: Host,
  peer: PeerId,
  context: { chainId: bigint; stopped: AbortSignal },
): Promise<KnownPeer[]> {
  const found: KnownPeer[] = []
  const frames = ask(host, peer, {
    protocol: peersProtocol(context.chainId),
    kind: 'peersRequest',
    message: { count: PEERS_PER_REQUEST_MAX },
    frameBytesMax: PEER_RECORD_BYTES_MAX,
    signal: AbortSignal.any([context.stopped, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  })
  for await (const frame of frames) {
    if (found.length === PEERS_PER_REQUEST_MAX) {
      throw new P2PError('wrong-answer', 'more peers than were asked for')
    }
    found.push(await openPeerRecord(frame))
  }
  return found
}
