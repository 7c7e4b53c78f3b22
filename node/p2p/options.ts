/**
 * Every local limit of the p2p room in one place, so that the answer to "what can a stranger make
 * this node hold or do?" is one page. None is consensus. Times in ms, sizes in bytes.
 */

const KIB = 1024
const MIB = 1024 * KIB

/** What an operator sets. */
export type P2POptions = {
  /** Multiaddrs to listen on; port 0 takes any free one. */
  readonly listen: readonly string[]
  /** Peers kept connected, with back-off, and never shut out: named by the operator, so a fault of
   * theirs is logged instead. Multiaddrs ending in /p2p/<id>. */
  readonly staticPeers: readonly string[]
  /** Peers dialled until they were reached once, to learn of others. */
  readonly bootstrap: readonly string[]
  /** Multiaddrs told to others instead of those listened on (behind NAT, in a container). */
  readonly announce: readonly string[]
  /** When not empty: only these peer ids, IP addresses and subnets may connect, and static peers. */
  readonly allow: readonly string[]
  /** Peer ids, IP addresses and subnets that never may. */
  readonly deny: readonly string[]
  /** Connections below which others are looked for; 0 looks for none. */
  readonly peersTarget: number
  /** Between two looks for peers. */
  readonly discoveryMs: number
  /** Where the peer key and the known peers live; absent: both for this run only. */
  readonly dataDir?: string
  /** Gossip heartbeat; tests shorten it. */
  readonly heartbeatMs: number
  /** First wait before a lost static peer is dialled again, doubled up to RECONNECT_MS_MAX. */
  readonly reconnectMs: number
  /** First wait after a failed catch-up request, doubled up to SYNC_RETRY_MS_MAX. */
  readonly syncRetryMs: number
}

export const DEFAULT_OPTIONS: P2POptions = {
  listen: ['/ip4/127.0.0.1/tcp/0'],
  staticPeers: [],
  bootstrap: [],
  announce: [],
  allow: [],
  deny: [],
  peersTarget: 8,
  discoveryMs: 10_000,
  heartbeatMs: 500,
  reconnectMs: 500,
  syncRetryMs: 500,
}

// Connections.
export const CONNECTIONS_MAX = 64
/** Handshakes under way at once. */
export const PENDING_CONNECTIONS_MAX = 10
/** New connections of one host in a second. */
export const CONNECTIONS_PER_HOST_PER_S_MAX = 5
export const DIAL_TIMEOUT_MS = 10_000
/** Streams of one connection, all protocols together. */
export const STREAMS_MAX = 64
/** Bytes a stream holds for a reader that does not read; the peer is paused long before. */
export const STREAM_BUFFER_BYTES_MAX: number = 4 * MIB
export const STREAM_IDLE_MS = 30_000
export const RECONNECT_MS_MAX = 60_000
/** Peers whose faults are remembered, least recently blamed forgotten first. */
export const LEDGER_PEERS_MAX = 1_024
export const BAN_MS: number = 60 * 60 * 1000
/** Entries of an allow or deny list. */
export const GATE_ENTRIES_MAX = 1_024

// Discovery.
/** Peers kept for the next start. */
export const PEER_BOOK_MAX = 256
/** Peers we were told of and have not met. */
export const CANDIDATES_MAX = 512
/** Dialled in one look. */
export const DISCOVERY_DIALS_MAX = 4
/** First wait before an unreachable peer is tried again, doubled; beyond the cap it is forgotten. */
export const CANDIDATE_RETRY_MS = 30_000
export const CANDIDATE_RETRY_MS_MAX: number = 60 * 60 * 1000
/** Peer records in one answer, bytes of one, addresses in one. */
export const PEERS_PER_REQUEST_MAX = 32
export const PEER_RECORD_BYTES_MAX: number = 4 * KIB
export const PEER_ADDRESSES_MAX = 16

// Gossip.
/** One block on the wire (the L1 limit of OP Stack payloads). */
export const BLOCK_BYTES_MAX: number = 10 * MIB
/** One transaction: geth's pool takes 128 KiB. */
export const TRANSACTION_BYTES_MAX: number = 128 * KIB
/** Receipts and verdicts. */
export const ENVELOPE_BYTES_MAX: number = 256 * KIB
/** One gossip frame: a block, its signature and the envelope of gossipsub. */
export const GOSSIP_FRAME_BYTES_MAX: number = BLOCK_BYTES_MAX + 64 * KIB
/** Bytes waiting for one slow peer, then its stream is dropped. */
export const GOSSIP_OUTBOUND_BYTES_MAX: number = 2 * GOSSIP_FRAME_BYTES_MAX
export const GOSSIP_RPC_LIMITS: {
  readonly maxSubscriptions: number
  readonly maxMessages: number
  readonly maxIhaveMessageIDs: number
  readonly maxIwantMessageIDs: number
  readonly maxIdontwantMessageIDs: number
  readonly maxControlMessages: number
  readonly maxPeerInfos: number
} = {
  maxSubscriptions: 64,
  maxMessages: 256,
  maxIhaveMessageIDs: 1_024,
  maxIwantMessageIDs: 1_024,
  maxIdontwantMessageIDs: 512,
  maxControlMessages: 64,
  maxPeerInfos: 16,
}
/** Memory one peer's subscriptions may take; four topics need about 5 KiB. */
export const TOPIC_BYTES_PER_PEER_MAX: number = 16 * KIB
export const SEEN_TTL_MS = 65_000
/** A block may be this much older than our clock (specs: rollup-node-p2p.md). */
export const BLOCK_AGE_S_MAX = 60
/** … and this much ahead of it. */
export const BLOCK_AHEAD_S_MAX = 5
/** Different signed blocks of one height before the signer is talking nonsense. */
export const BLOCKS_PER_HEIGHT_MAX = 5
/** Heights remembered for that count. */
export const SEEN_HEIGHTS_MAX = 1_024

// Request/response.
export const REQUEST_BYTES_MAX = 256
export const REQUEST_TIMEOUT_MS = 10_000
/** Without a frame for this long the other side is given up. */
export const FRAME_TIMEOUT_MS = 10_000
export const SERVE_TIMEOUT_MS = 60_000
/** A question to a provider, and one piece of its answer. */
export const INFERENCE_HEAD_BYTES_MAX: number = 16 * KIB
export const INFERENCE_BODY_BYTES_MAX: number = MIB
export const INFERENCE_FRAME_BYTES_MAX: number = 256 * KIB
/** Questions one peer may have under way here. */
export const INFERENCE_STREAMS_MAX = 32
/** From the question to the end of the answer. */
export const INFERENCE_TIMEOUT_MS: number = 10 * 60 * 1000
/** An empty frame as often says that a provider is still there while its engine is busy. */
export const INFERENCE_ALIVE_MS = 3_000
/** Operators of an answer's computation, tiles of one, bytes of an answer about it (32 a tile). */
export const OPENING_OPERATORS_MAX = 4_096
export const OPENING_TILES_MAX: number = 2 ** 17
export const OPENING_BYTES_MAX: number = 4 * MIB
/** Of one question: a pass over prompt and answer, behind others. */
export const OPENING_TIMEOUT_MS = 120_000
/** Streams of one request protocol one peer may have open here. */
export const REQUEST_STREAMS_MAX = 4
export const RANGE_BLOCKS_MAX = 128
/** Bytes of blocks in one answer, or one block that is larger; the server stops before it and the client asks on. Decoded they
 * take about fifty times as much. */
export const RANGE_BYTES_MAX: number = 2 * MIB
export const CONTENT_CHUNK_BYTES: number = 256 * KIB
/** Bytes of content one request may ask for. */
export const CONTENT_REQUEST_BYTES_MAX: number = 2 * MIB
/** Content `fetchContent` assembles in memory, unless the caller asks for less. */
export const CONTENT_FETCH_BYTES_MAX: number = 256 * MIB
/** Attempts of `fetchContent` that brought nothing, before it gives up. */
export const CONTENT_ATTEMPTS_MAX = 16
/** Content fetched at once for our own callers. */
export const CONTENT_FETCHES_MAX = 8

export type Rate = { readonly perSecond: number; readonly burst: number }
export const RANGE_RATE_PER_PEER: Rate = { perSecond: 4, burst: 15 }
export const RANGE_RATE_GLOBAL: Rate = { perSecond: 20, burst: 40 }
export const CONTENT_RATE_PER_PEER: Rate = { perSecond: 8, burst: 64 }
export const CONTENT_RATE_GLOBAL: Rate = { perSecond: 64, burst: 256 }
export const INFERENCE_RATE_PER_PEER: Rate = { perSecond: 20, burst: 100 }
export const INFERENCE_RATE_GLOBAL: Rate = { perSecond: 200, burst: 1_000 }
/** Each costs its provider a pass; a receipt takes three. */
export const OPENING_RATE_PER_PEER: Rate = { perSecond: 0.2, burst: 9 }
export const OPENING_RATE_GLOBAL: Rate = { perSecond: 1, burst: 18 }
export const PEERS_RATE_PER_PEER: Rate = { perSecond: 0.2, burst: 5 }
export const PEERS_RATE_GLOBAL: Rate = { perSecond: 10, burst: 40 }
/** Gossip handled per forwarding peer; more is ignored without being looked at. */
export const GOSSIP_RATE_PER_PEER: Rate = { perSecond: 500, burst: 2_000 }

// Catch-up.
export const SYNC_RETRY_MS_MAX = 30_000
/** Failures in a row before a target is given up (a new block or peer starts again). */
export const SYNC_ATTEMPTS_MAX = 10
/** First step back when a range does not join our chain; doubled each time. */
export const SYNC_STEP_BACK = 8n
