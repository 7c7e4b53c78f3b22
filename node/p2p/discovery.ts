/**
 * Keeps a node in company: while it has fewer than `peersTarget` connections it dials peers it knows
 * (from the book of earlier runs) or was told of (by asking a connected peer, in turns). Peers that
 * cannot be reached wait longer each time. Peers the operator named are `reconnect.ts`'s.
 *
 *   every discoveryMs: enough peers? -> nothing
 *                      else ask one peer for peers -> candidates -> dial a few -> identify -> book
 */
import { multiaddr } from '@multiformats/multiaddr'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { isPrivate } from './gate.ts'
import type { Host } from './host.ts'
import {
  CANDIDATE_RETRY_MS,
  CANDIDATE_RETRY_MS_MAX,
  CANDIDATES_MAX,
  DISCOVERY_DIALS_MAX,
} from './options.ts'
import type { PeerBook } from './peer-book.ts'
import { type KnownPeer, openPeerRecord } from './peer-record.ts'
import { requestPeersFrom } from './peers.ts'
import type { Clock, Peer, PeerId } from './types.ts'

export type DiscoveryModules = {
  readonly host: Host
  readonly chainId: bigint
  readonly book: PeerBook
  readonly admits: (peer: Peer) => boolean
  readonly blame: (peer: Peer, code: P2PErrorCode) => void
  readonly log: Log
  readonly clock: Clock
  readonly stopped: AbortSignal
}

type Candidate = { readonly known: KnownPeer; failures: number; notBeforeMs: number }

export class Discovery {
  readonly #target: number
  readonly #everyMs: number
  readonly #modules: DiscoveryModules
  readonly #candidates = new Map<Peer, Candidate>()
  #timer: NodeJS.Timeout | undefined
  #turn = 0

  constructor(options: { peersTarget: number; discoveryMs: number }, modules: DiscoveryModules) {
    this.#target = options.peersTarget
    this.#everyMs = options.discoveryMs
    this.#modules = modules
  }

  start(): void {
    const { host, book, stopped } = this.#modules
    for (const known of book.list()) this.#consider(known)
    host.addEventListener('peer:identify', (event) => void this.#identified(event.detail.peerId))
    // libp2p remembers every peer it ever met; ours are in the book.
    host.addEventListener('peer:disconnect', (event) => {
      host.peerStore.delete(event.detail).catch(() => {})
    })
    stopped.addEventListener('abort', () => clearTimeout(this.#timer))
    this.#schedule(0)
  }

  #schedule(ms: number): void {
    if (this.#modules.stopped.aborted) return
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((error) => this.#modules.log.debug('no peers found', { error: messageOf(error) }))
        .finally(() => this.#schedule(this.#everyMs))
    }, ms)
  }

  async #look(): Promise<void> {
    const { host, book } = this.#modules
    book.save()
    const missing = this.#target - host.getPeers().length
    if (missing <= 0) return
    await this.#askOne()
    const due = this.#due().slice(0, Math.min(missing, DISCOVERY_DIALS_MAX))
    await Promise.all(due.map((candidate) => this.#dial(candidate)))
  }

  async #askOne(): Promise<void> {
    const { host, blame, chainId, stopped } = this.#modules
    const peers = host.getPeers()
    const peer = peers[this.#turn++ % Math.max(1, peers.length)]
    if (!peer) return
    try {
      for (const known of await requestPeersFrom(host, peer, { chainId, stopped })) {
        this.#consider(known)
      }
    } catch (error) {
      if (error instanceof P2PError) blame(peer.toString(), error.code)
    }
  }

  /** A record of ourselves, of somebody shut out, or of nowhere we could go is none of use. */
  #consider(known: KnownPeer): void {
    const { host, admits } = this.#modules
    if (known.peer === host.peerId.toString() || !admits(known.peer)) return
    const addresses = known.addresses.filter((address) => this.#isReachable(address))
    if (addresses.length === 0) return
    const { failures = 0, notBeforeMs = 0 } = this.#candidates.get(known.peer) ?? {}
    this.#candidates.delete(known.peer)
    this.#candidates.set(known.peer, {
      known: { ...known, addresses },
      failures,
      notBeforeMs,
    })
    for (const oldest of this.#candidates.keys()) {
      if (this.#candidates.size <= CANDIDATES_MAX) break
      this.#candidates.delete(oldest)
    }
  }

  /** A stranger may not make a node on the open network knock at doors inside somebody's house. */
  #isReachable(address: KnownPeer['addresses'][number]): boolean {
    if (!isPrivate(address)) return true
    return this.#modules.host.getMultiaddrs().every(isPrivate)
  }

  #due(): Candidate[] {
    const { host, clock, admits } = this.#modules
    const connected = new Set(host.getPeers().map(String))
    const now = clock()
    return [...this.#candidates.values()].filter(
      ({ known, notBeforeMs }) =>
        notBeforeMs <= now && !connected.has(known.peer) && admits(known.peer),
    )
  }

  async #dial(candidate: Candidate): Promise<void> {
    const { host, book, log, clock, stopped } = this.#modules
    const { peer, addresses } = candidate.known
    try {
      await host.dial(
        addresses.map((address) =>
          address.getComponents().at(-1)?.name === 'p2p'
            ? address
            : multiaddr(`${address}/p2p/${peer}`),
        ),
        { signal: stopped },
      )
      candidate.failures = 0
      book.note(candidate.known)
      log.debug('peer found', { peer })
    } catch (error) {
      const ms = CANDIDATE_RETRY_MS * 2 ** Math.min(candidate.failures, 16)
      candidate.failures++
      candidate.notBeforeMs = clock() + Math.min(ms, CANDIDATE_RETRY_MS_MAX)
      if (ms > CANDIDATE_RETRY_MS_MAX) {
        this.#candidates.delete(peer)
        book.forget(peer)
      }
      log.debug('peer not reached', { peer, error: messageOf(error) })
    }
  }

  /** Connected and named: what it signed of itself is worth keeping. */
  async #identified(id: PeerId): Promise<void> {
    const { host, book } = this.#modules
    try {
      const { peerRecordEnvelope } = await host.peerStore.get(id)
      if (!peerRecordEnvelope) return
      const known = await openPeerRecord(peerRecordEnvelope)
      if (known.addresses.length === 0) return
      book.note(known)
      this.#consider(known)
    } catch (error) {
      this.#modules.log.debug('peer gives no record of itself', { error: messageOf(error) })
    }
  }
}
