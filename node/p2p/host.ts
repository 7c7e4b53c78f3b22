/**
 * The libp2p host: TCP, noise, yamux, identify, ping and gossipsub, each with its limits from
 * `options.ts`. Unsigned gossip (StrictNoSign): what matters is signed inside, and a message has one
 * id whoever forwards it, SHA-256 over topic and data.
 */
import { createHash } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { PeerKey } from './key.ts'
import type { P2POptions } from './options.ts'
import * as limits from './options.ts'
import { SCORE_THRESHOLDS, scoreParams } from './score.ts'
import { GOSSIP_KINDS, topicOf } from './topics.ts'
import type { Peer } from './types.ts'

export type Pubsub = ReturnType<ReturnType<typeof gossipsub>> & {
  /** On the class and not on its interface. */
  getScore(peer: Peer): number
  /** Peers we can send to; a subscription may be known before the way back is open. */
  readonly streamsOutbound: ReadonlyMap<Peer, unknown>
}
export type Host = Libp2p<{ pubsub: Pubsub }>

/** Bytes a stream's sender may be ahead of its reader. Below STREAM_BUFFER_BYTES_MAX, so that a
 * paused reader never overflows. */
const YAMUX_WINDOW_BYTES_MAX = 1024 * 1024
const MESSAGE_ID_BYTES = 20

/** Not yet started: handlers are registered first. */
export async function createHost(
  options: P2POptions,
  modules: {
    chainId: bigint
    key: PeerKey
    /** Null: the address is not known yet. */
    admits: (peer: Peer, address: Multiaddr | null) => boolean
    deniesAddress: (address: Multiaddr) => boolean
    ledgerScore: (peer: Peer) => number
  },
): Promise<Host> {
  const topics = GOSSIP_KINDS.map((kind) => topicOf(modules.chainId, kind))
  const host = await createLibp2p({
    start: false,
    privateKey: modules.key,
    addresses: { listen: [...options.listen], announce: [...options.announce] },
    nodeInfo: { name: 'openledger', version: '0.1.0', userAgent: 'openledger/0.1.0' },
    transports: [
      tcp({
        maxConnections: limits.CONNECTIONS_MAX + limits.PENDING_CONNECTIONS_MAX,
        backlog: limits.CONNECTIONS_MAX,
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: limits.STREAMS_MAX,
        maxOutboundStreams: limits.STREAMS_MAX,
        streamOptions: {
          maxStreamWindowSize: YAMUX_WINDOW_BYTES_MAX,
          maxReadBufferLength: limits.STREAM_BUFFER_BYTES_MAX,
          maxWriteBufferLength: limits.GOSSIP_OUTBOUND_BYTES_MAX,
        },
      }),
    ],
    connectionManager: {
      maxConnections: limits.CONNECTIONS_MAX,
      maxIncomingPendingConnections: limits.PENDING_CONNECTIONS_MAX,
      inboundConnectionThreshold: limits.CONNECTIONS_PER_HOST_PER_S_MAX,
      dialTimeout: limits.DIAL_TIMEOUT_MS,
      addressDialTimeout: limits.DIAL_TIMEOUT_MS,
      maxParallelDials: 16,
      maxDialQueueLength: 64,
      maxPeerAddrsToDial: 8,
      // Static peers are ours to redial (`reconnect.ts`).
      reconnectRetries: 0,
    },
    // A busy machine is not a dead one: the default allows 2 s.
    connectionMonitor: { pingTimeout: { minTimeout: 10_000 } },
    connectionGater: {
      denyDialMultiaddr: (address) => modules.deniesAddress(address),
      denyInboundConnection: ({ remoteAddr }) => modules.deniesAddress(remoteAddr),
      denyInboundEncryptedConnection: (peer, { remoteAddr }) =>
        !modules.admits(peer.toString(), remoteAddr),
      denyOutboundEncryptedConnection: (peer, { remoteAddr }) =>
        !modules.admits(peer.toString(), remoteAddr),
    },
    services: {
      identify: identify({ maxMessageSize: 8 * 1024, maxInboundStreams: 2, maxOutboundStreams: 2 }),
      ping: ping({ maxInboundStreams: 2, maxOutboundStreams: 2 }),
      pubsub: gossipsub({
        globalSignaturePolicy: 'StrictNoSign',
        msgIdFn: messageId,
        emitSelf: false,
        doPX: false,
        fallbackToFloodsub: false,
        floodPublish: true,
        allowPublishToZeroTopicPeers: true,
        ignoreDuplicatePublishError: true,
        D: 8,
        Dlo: 6,
        Dhi: 12,
        Dlazy: 6,
        heartbeatInterval: options.heartbeatMs,
        seenTTL: limits.SEEN_TTL_MS,
        awaitRpcMessageHandler: true,
        maxInboundStreams: 2,
        maxOutboundStreams: 2,
        allowedTopics: topics,
        maxTopicBytesPerPeer: limits.TOPIC_BYTES_PER_PEER_MAX,
        maxInboundDataLength: limits.GOSSIP_FRAME_BYTES_MAX,
        maxOutboundBufferSize: limits.GOSSIP_OUTBOUND_BYTES_MAX,
        decodeRpcLimits: limits.GOSSIP_RPC_LIMITS,
        scoreParams: scoreParams(topics, modules.ledgerScore),
        scoreThresholds: SCORE_THRESHOLDS,
      }),
    },
  })
  return host as unknown as Host
}

function messageId(message: { topic: string; data: Uint8Array }): Uint8Array {
  const topic = Buffer.from(message.topic)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(topic.length))
  const hash = createHash('sha256').update(length).update(topic).update(message.data).digest()
  return new Uint8Array(hash.subarray(0, MESSAGE_ID_BYTES))
}
