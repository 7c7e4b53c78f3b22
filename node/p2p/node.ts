/**
 * The p2p node: host, gossip, request protocols, catch-up and peers, wired here and nowhere else.
 *
 *   publish ------> gossip ------> peers          peers -> gossip -> on(kind) subscribers
 *   requestBlocks, fetchContent -> peers                         \-> syncer -> importBlock
 *   blocksByRange, content <------ peers (served from functions handed in)
 *   discovery, reconnect ---------> connections, through the gate
 */

import type { Hex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { encodeBlock } from '../chain/block.ts'
import type { Block } from '../chain/types.ts'
import { BAN_SCORE } from './blame.ts'
import { type BlocksByRange, requestBlocksFrom, serveBlocks } from './blocks.ts'
import { encodeMessage, type Messages } from './codec.ts'
import { type ContentSource, serveContent } from './content.ts'
import { Discovery } from './discovery.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { ContentFetcher } from './fetcher.ts'
import { createGate, type Gate } from './gate.ts'
import { Gossip, type Judges } from './gossip.ts'
import { createHost, type Host } from './host.ts'
import {
  type AnswerInference,
  askInference,
  type InferenceQuestion,
  serveInference,
} from './inference.ts'
import { loadPeerKey } from './key.ts'
import { Ledger } from './ledger.ts'
import { type AnswerOpening, askOpening, type OpeningRequest, serveOpenings } from './openings.ts'
import type { P2POptions } from './options.ts'
import { PeerBook } from './peer-book.ts'
import { servePeers } from './peers.ts'
import { parsePeerAddress, Reconnector } from './reconnect.ts'
import { envelopePreimage } from './signature.ts'
import type { SyncState } from './sync.ts'
import { type SyncChain, Syncer } from './syncer.ts'
import { topicOf } from './topics.ts'
import type {
  Clock,
  EnvelopeKind,
  GossipEvents,
  GossipKind,
  Peer,
  PeerId,
  VerifiedBlock,
} from './types.ts'
import type { BlockSigner, PastSigners } from './verify.ts'

export type P2PModules = {
  readonly chainId: bigint
  /** The address whose signature makes a block the sequencer's. */
  readonly signer: BlockSigner
  /** Whose signatures stored blocks may bear beside; gossip is judged by `signer` alone. */
  readonly pastSigners?: PastSigners
  readonly blocksByRange: BlocksByRange
  readonly content: ContentSource
  /** What a follower has: gossiped blocks are imported and gaps are filled. A sequencer has none. */
  readonly sync?: SyncChain
  readonly judges?: Judges
  /** What a provider answers with; absent: this node has no answers. */
  readonly inference?: AnswerInference
  /** How a provider shows what it computed; absent: this node has computed nothing for others. */
  readonly openings?: AnswerOpening
  /** Signs keccak256 of the bytes, as `signEnvelope` would; absent: this node states nothing. */
  readonly sign?: (kind: EnvelopeKind, preimage: Uint8Array) => Promise<Uint8Array>
  readonly log: Log
  readonly clock: Clock
}

export type PeerInfo = {
  readonly peer: Peer
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly score: number
}

export class P2P {
  readonly #modules: P2PModules
  readonly #ledger: Ledger
  readonly #gossip: Gossip
  readonly #syncer: Syncer | undefined
  readonly #stop = new AbortController()
  readonly #trusted: ReadonlySet<Peer>
  readonly #host: Host
  readonly #fetcher: ContentFetcher
  readonly #reconnector: Reconnector
  readonly #book: PeerBook
  readonly #discovery: Discovery
  #turn = 0

  /** Makes or reads the peer key; opens no socket yet. @throws P2PError `bad-key`, `bad-address`. */
  static async create(options: P2POptions, modules: P2PModules): Promise<P2P> {
    const trusted = new Set(options.staticPeers.map((text) => parsePeerAddress(text).peer))
    const key = await loadPeerKey(options.dataDir)
    const ledger = new Ledger(modules.clock)
    const gate = createGate(options)
    const book = await PeerBook.open(options.dataDir, modules.log)
    const admits: Gate['admits'] = (peer, address) =>
      trusted.has(peer) || (!ledger.isBanned(peer) && gate.admits(peer, address))
    const host = await createHost(options, {
      chainId: modules.chainId,
      key,
      admits,
      deniesAddress: (address) => gate.deniesAddress(address),
      ledgerScore: (peer) => (trusted.has(peer) ? 0 : ledger.score(peer)),
    })
    return new P2P(options, modules, { host, ledger, trusted, book, admits })
  }

  private constructor(
    options: P2POptions,
    modules: P2PModules,
    parts: {
      host: Host
      ledger: Ledger
      trusted: ReadonlySet<Peer>
      book: PeerBook
      admits: Gate['admits']
    },
  ) {
    this.#modules = modules
    this.#host = parts.host
    this.#ledger = parts.ledger
    this.#trusted = parts.trusted
    const { chainId, log } = modules
    this.#gossip = new Gossip({
      ...modules,
      judges: modules.judges ?? {},
      isTrusted: (peer) => parts.trusted.has(peer),
    })
    this.#fetcher = new ContentFetcher({
      host: this.#host,
      chainId,
      peers: () => this.#candidates(),
      blame: (peer, code) => this.#blame(peer, code),
      stopped: this.#stop.signal,
    })
    this.#book = parts.book
    this.#discovery = new Discovery(options, {
      host: this.#host,
      chainId,
      book: parts.book,
      admits: (peer) => parts.admits(peer, null),
      blame: (peer, code) => this.#blame(peer, code),
      log,
      clock: modules.clock,
      stopped: this.#stop.signal,
    })
    this.#reconnector = new Reconnector(options, {
      host: this.#host,
      log,
      stopped: this.#stop.signal,
    })
    if (modules.sync) {
      this.#syncer = new Syncer(
        { retryMs: options.syncRetryMs },
        {
          chain: modules.sync,
          requestBlocks: (start, count) => this.requestBlocks('any', start, count),
          log,
        },
      )
    }
  }

  async start(): Promise<void> {
    const { log } = this.#modules
    const context = {
      log,
      stopped: this.#stop.signal,
      onFault: (peer: Peer, code: P2PErrorCode) => this.#blame(peer, code),
    }
    await serveBlocks(this.#host, this.#modules, context)
    await serveContent(this.#host, this.#modules, context)
    const { inference, openings } = this.#modules
    if (inference) await serveInference(this.#host, { ...this.#modules, inference }, context)
    if (openings) await serveOpenings(this.#host, { ...this.#modules, openings }, context)
    const connected = () => new Set(this.#host.getPeers().map(String))
    await servePeers(
      this.#host,
      {
        ...this.#modules,
        known: () => {
          const now = connected()
          return this.#book.list().filter(({ peer }) => now.has(peer))
        },
      },
      context,
    )
    await this.#host.start()
    const { pubsub } = this.#host.services
    this.#gossip.attach(pubsub)
    this.#gossip.on('blocks', (block) => this.#syncer?.gossiped(block))
    // Identified peers are the ones whose protocols are known.
    this.#host.addEventListener('peer:identify', () => this.#syncer?.peerJoined())
    pubsub.addEventListener('gossipsub:heartbeat', () => this.#enforce())
    this.#reconnector.start()
    this.#discovery.start()
    log.info('p2p listening', { peer: this.id, addresses: this.multiaddrs() })
  }

  /** Ends every stream and timer; the promise settles when nothing of this node is open. */
  async stop(): Promise<void> {
    this.#stop.abort(new P2PError('stopped', 'the p2p node is stopping'))
    this.#syncer?.stop()
    this.#book.save()
    await this.#host.stop()
  }

  get id(): Peer {
    return this.#host.peerId.toString()
  }

  get syncState(): SyncState {
    return this.#syncer?.state ?? { kind: 'idle' }
  }

  multiaddrs(): string[] {
    return this.#host.getMultiaddrs().map(String)
  }

  peers(): PeerInfo[] {
    return this.#host.getConnections().map(({ remotePeer, remoteAddr, direction }) => ({
      peer: remotePeer.toString(),
      address: remoteAddr.toString(),
      direction,
      score: this.#scoreOf(remotePeer.toString()),
    }))
  }

  /** Connected peers that a message of this kind would go to now. */
  subscribers(kind: GossipKind): Peer[] {
    const { pubsub } = this.#host.services
    const peers = pubsub.getSubscribers(topicOf(this.#modules.chainId, kind)).map(String)
    return peers.filter((peer) => pubsub.streamsOutbound.has(peer))
  }

  /** Connects once, for the life of the connection. @throws P2PError `bad-address`, `unreachable`. */
  async connect(address: string): Promise<Peer> {
    const { address: target, peer } = parsePeerAddress(address)
    await this.#host.dial(target, { signal: this.#stop.signal }).catch((error: unknown) => {
      throw new P2PError('unreachable', `cannot reach ${address}: ${messageOf(error)}`, error)
    })
    return peer
  }

  /** Ends the connection to a peer; false when there is none. A static peer is dialled again. */
  async disconnect(peer: Peer): Promise<boolean> {
    const id = this.#host.getPeers().find((known) => known.toString() === peer)
    if (!id) return false
    await this.#host.hangUp(id, { signal: AbortSignal.timeout(HANG_UP_MS) })
    return true
  }

  /** `signature` is `signBlock`'s. Like every publish, answers how many peers it went to: none is no
   * error (late peers ask for blocks by range), and a message is published only once. */
  async publishBlock(block: Block, signature: Uint8Array): Promise<number> {
    return this.#publish('blocks', { block: encodeBlock(block), signature })
  }

  async publishTransaction(raw: Uint8Array): Promise<number> {
    return this.#publish('transactions', { raw })
  }

  /** Signed first. @throws P2PError `bad-key` when the node has no key; whatever `sign` throws. */
  async publish(kind: EnvelopeKind, payload: Uint8Array): Promise<number> {
    const { sign, chainId } = this.#modules
    if (!sign) throw new P2PError('bad-key', `no envelope key to sign ${kind} with`)
    const signature = await sign(kind, envelopePreimage({ chainId, kind, payload }))
    return this.#publish(kind, { payload, signature })
  }

  /** Called after the message was accepted; returns the way to unsubscribe. */
  on<K extends GossipKind>(
    kind: K,
    handler: (event: GossipEvents[K]) => void | Promise<void>,
  ): () => void {
    return this.#gossip.on(kind, handler)
  }

  /**
   * Blocks `start`, `start + 1`, … at most `count` (and RANGE_BLOCKS_MAX), checked to be signed,
   * consecutive and linked. `any` asks one peer after the other until one has some; an empty list
   * when none has. @throws P2PError when every peer failed, or there is none.
   */
  async requestBlocks(
    from: Peer | 'any',
    start: bigint,
    count: number,
  ): Promise<readonly VerifiedBlock[]> {
    const { chainId, signer, pastSigners } = this.#modules
    const past = pastSigners ? { past: pastSigners } : {}
    const request = { chainId, signer, ...past, start, count, stopped: this.#stop.signal }
    const candidates = this.#candidates().filter((id) => from === 'any' || id.toString() === from)
    let failure: unknown = new P2PError('no-peer', 'not connected to any peer to ask for blocks')
    let answered = false
    for (const peer of candidates) {
      try {
        const blocks = await requestBlocksFrom(this.#host, peer, request)
        if (blocks.length > 0) return blocks
        answered = true
      } catch (error) {
        failure = error
        if (error instanceof P2PError) this.#blame(peer.toString(), error.code)
        this.#modules.log.debug('range request failed', { peer, error: messageOf(error) })
      }
    }
    if (answered) return []
    throw failure
  }

  /** The bytes of `hash`, verified. @throws P2PError `not-found`, `too-large`, `no-peer`… */
  fetchContent(hash: Hex, limit: { bytesMax?: number } = {}): Promise<Uint8Array> {
    return this.#fetcher.fetch(hash, limit)
  }

  /** Asks a provider's peer; `address` is where it can be reached when there is no connection yet.
   * @throws P2PError `unreachable`, `timeout`, `cut-off`, … when the peer goes away, also in the middle. */
  async *askInference(
    provider: { readonly peer: Peer; readonly address: string | null },
    question: InferenceQuestion,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const peer = await this.#reach(provider)
    const stopped = AbortSignal.any([this.#stop.signal, signal])
    yield* askInference(this.#host, peer, { ...question, chainId: this.#modules.chainId, stopped })
  }

  /** How a receipt's answer was computed, from its provider's peer, or from whichever connected peer has it: the first answer
   * that `accepts` takes. @throws P2PError when there is none */
  async askOpening(
    provider: { readonly peer: Peer; readonly address: string | null } | null,
    request: OpeningRequest,
    { accepts, signal }: { accepts(answer: Uint8Array): boolean; signal?: AbortSignal },
  ): Promise<Uint8Array> {
    const { chainId } = this.#modules
    const stopped = AbortSignal.any([this.#stop.signal, ...(signal ? [signal] : [])])
    let failure: unknown = new P2PError('no-peer', 'not connected to any peer to ask')
    const peers = provider ? [await this.#reach(provider)] : this.#candidates()
    for (const peer of peers) {
      try {
        const answer = await askOpening(this.#host, peer, { request, chainId, stopped })
        if (accepts(answer)) return answer
        failure = new P2PError('wrong-answer', `${peer} answers something else`)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** @throws P2PError `unreachable` */
  async #reach(provider: {
    readonly peer: Peer
    readonly address: string | null
  }): Promise<PeerId> {
    const known = () => this.#host.getPeers().find((id) => id.toString() === provider.peer)
    if (!known() && provider.address) await this.connect(provider.address)
    const peer = known()
    if (!peer) throw new P2PError('unreachable', `not connected to ${provider.peer}`)
    return peer
  }

  async #publish<K extends GossipKind>(kind: K, message: Messages[K]): Promise<number> {
    if (this.#stop.signal.aborted) throw new P2PError('stopped', 'the p2p node is stopped')
    const data = encodeMessage(kind, message)
    const topic = topicOf(this.#modules.chainId, kind)
    return (await this.#host.services.pubsub.publish(topic, data)).recipients.length
  }

  /** Connected peers, the best behaved first; equals take turns. */
  #candidates(): PeerId[] {
    const peers = this.#host.getPeers()
    const turn = this.#turn++ % Math.max(1, peers.length)
    const rotated = [...peers.slice(turn), ...peers.slice(0, turn)]
    const debt = (peer: PeerId) => Math.ceil(this.#ledger.score(peer.toString()))
    return rotated.sort((a, b) => debt(b) - debt(a))
  }

  /** gossipsub's score has the ledger in it, but only for peers that speak gossip. */
  #scoreOf(peer: Peer): number {
    const held = this.#trusted.has(peer) ? 0 : this.#ledger.score(peer)
    return Math.min(held, this.#host.services.pubsub.getScore(peer))
  }

  #blame(peer: Peer, code: P2PErrorCode): void {
    const points = this.#ledger.blame(peer, code)
    if (points === 0) return
    this.#modules.log.debug('peer blamed', { peer, code, points })
    this.#enforce()
  }

  /** Shows the door to whoever is at or below BAN_SCORE, for gossip and requests together. */
  #enforce(): void {
    if (this.#stop.signal.aborted) return
    for (const id of this.#host.getPeers()) {
      const peer = id.toString()
      if (this.#trusted.has(peer) || this.#scoreOf(peer) > BAN_SCORE) continue
      this.#ledger.ban(peer)
      this.#modules.log.debug('peer banned', { peer, score: this.#scoreOf(peer) })
      this.#host.hangUp(id, { signal: AbortSignal.timeout(HANG_UP_MS) }).catch(() => {})
    }
  }
}

const HANG_UP_MS = 1_000
