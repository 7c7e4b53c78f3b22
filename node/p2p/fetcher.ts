/**
 * Fetches content for our own callers: goes from peer to peer until the bytes are whole and have
 * their hash, and blames who lied. Callers asking for the same hash share one fetch.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Hex } from '../base/bytes.ts'
import { Assembly, fetchFrom } from './content.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import type { Host } from './host.ts'
import {
  CONTENT_ATTEMPTS_MAX,
  CONTENT_FETCH_BYTES_MAX,
  CONTENT_FETCHES_MAX,
  CONTENT_RATE_PER_PEER,
} from './options.ts'
import type { Peer, PeerId } from './types.ts'

export type FetcherModules = {
  readonly host: Host
  readonly chainId: bigint
  readonly peers: () => readonly PeerId[]
  readonly blame: (peer: Peer, code: P2PErrorCode) => void
  readonly stopped: AbortSignal
}

export class ContentFetcher {
  readonly #modules: FetcherModules
  readonly #running = new Map<string, Promise<Uint8Array>>()

  constructor(modules: FetcherModules) {
    this.#modules = modules
  }

  async fetch(hash: Hex, limit: { bytesMax?: number }): Promise<Uint8Array> {
    if (!/^0x[0-9a-f]{64}$/.test(hash)) {
      throw new P2PError('bad-argument', `not a content hash: ${String(hash).slice(0, 80)}`)
    }
    const bytesMax = Math.min(limit.bytesMax ?? CONTENT_FETCH_BYTES_MAX, CONTENT_FETCH_BYTES_MAX)
    const key = `${hash}/${bytesMax}`
    const running = this.#running.get(key)
    if (running) return running
    if (this.#running.size >= CONTENT_FETCHES_MAX) {
      throw new P2PError('busy', `${CONTENT_FETCHES_MAX} fetches are under way; try again`)
    }
    const fetching = this.#fetch(new Assembly(hash, bytesMax)).finally(() =>
      this.#running.delete(key),
    )
    this.#running.set(key, fetching)
    return fetching
  }

  /** One peer at a time. A peer is out once it lied or has not got it; others get another turn. What a
   * peer brought before it failed is not lost, so only turns without any count; a peer that keeps
   * breaking off runs out of points (`blame.ts`) before we run out of turns. */
  async #fetch(assembly: Assembly): Promise<Uint8Array> {
    const { host, chainId, peers, blame, stopped } = this.#modules
    const out = new Set<Peer>()
    let failure = new P2PError('no-peer', `not connected to any peer to ask for ${assembly.hash}`)
    let fruitless = 0
    for (let turn = 0; fruitless < CONTENT_ATTEMPTS_MAX; turn++) {
      const willing = peers().filter((id) => !out.has(id.toString()))
      const peer = willing[turn % Math.max(1, willing.length)]
      if (!peer) break
      const name = peer.toString()
      const before = assembly.offset
      try {
        await fetchFrom(host, peer, assembly, { chainId, stopped })
        const result = await assembly.finish()
        if ('bytes' in result) return result.bytes
        fruitless++
        failure = new P2PError('wrong-content', `what came as ${assembly.hash} is something else`)
        if (result.liar !== undefined) {
          out.add(result.liar)
          blame(result.liar, 'wrong-content')
        }
      } catch (error) {
        if (stopped.aborted) throw new P2PError('stopped', 'the p2p node is stopping')
        if (!(error instanceof P2PError)) throw error
        failure = error
        if (assembly.offset <= before) fruitless++
        blame(name, error.code)
        if (isFinal(error.code)) out.add(name)
        else if (error.code === 'rate-limited') {
          await delay(1_000 / CONTENT_RATE_PER_PEER.perSecond, undefined, { signal: stopped })
        }
      }
    }
    throw failure
  }
}

/** Asking this peer again would give the same. */
function isFinal(code: P2PErrorCode): boolean {
  return code !== 'disagreement' && code !== 'rate-limited' && code !== 'cut-off'
}
