/**
 * Keeps the peers an operator named connected: dialled at start, and again with a doubling wait
 * whenever they are lost. A bootstrap peer is let go once it was reached.
 */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { P2PError } from './errors.ts'
import type { Host } from './host.ts'
import { RECONNECT_MS_MAX } from './options.ts'
import type { Peer } from './types.ts'

type Target = {
  readonly address: Multiaddr
  readonly peer: Peer
  readonly keep: boolean
  failures: number
  timer: NodeJS.Timeout | undefined
  dialling: boolean
}

export class Reconnector {
  readonly #host: Host
  readonly #log: Log
  readonly #firstMs: number
  readonly #targets = new Map<Peer, Target>()
  readonly #stopped: AbortSignal

  constructor(
    options: { staticPeers: readonly string[]; bootstrap: readonly string[]; reconnectMs: number },
    modules: { host: Host; log: Log; stopped: AbortSignal },
  ) {
    this.#host = modules.host
    this.#log = modules.log
    this.#stopped = modules.stopped
    this.#firstMs = options.reconnectMs
    for (const text of options.bootstrap) this.#add(text, false)
    for (const text of options.staticPeers) this.#add(text, true)
  }

  start(): void {
    this.#host.addEventListener('peer:disconnect', (event) => {
      const target = this.#targets.get(event.detail.toString())
      if (target?.keep) this.#schedule(target)
    })
    this.#stopped.addEventListener('abort', () => {
      for (const { timer } of this.#targets.values()) clearTimeout(timer)
    })
    for (const target of this.#targets.values()) void this.#dial(target)
  }

  #add(text: string, keep: boolean): void {
    const { address, peer } = parsePeerAddress(text)
    this.#targets.set(peer, {
      address,
      peer,
      keep,
      failures: 0,
      timer: undefined,
      dialling: false,
    })
  }

  async #dial(target: Target): Promise<void> {
    if (this.#stopped.aborted || target.dialling) return
    target.dialling = true
    try {
      await this.#host.dial(target.address, { signal: this.#stopped })
      target.failures = 0
      this.#log.debug('peer reached', { peer: target.peer })
    } catch (error) {
      target.failures++
      this.#log.debug('peer not reached', { peer: target.peer, error: messageOf(error) })
      this.#schedule(target)
    } finally {
      target.dialling = false
    }
  }

  #schedule(target: Target): void {
    if (this.#stopped.aborted) return
    clearTimeout(target.timer)
    const ms = Math.min(RECONNECT_MS_MAX, this.#firstMs * 2 ** Math.min(target.failures, 16))
    target.timer = setTimeout(() => void this.#dial(target), ms)
  }
}

/** @throws P2PError `bad-address` unless the text is a multiaddr that ends in a peer id. */
export function parsePeerAddress(text: string): { address: Multiaddr; peer: Peer } {
  try {
    const address = multiaddr(text)
    const last = address.getComponents().at(-1)
    if (last?.name === 'p2p' && last.value) return { address, peer: last.value }
  } catch (error) {
    throw new P2PError('bad-address', `not a peer address: ${text.slice(0, 200)}`, error)
  }
  throw new P2PError('bad-address', `${text.slice(0, 200)} does not end in /p2p/<peer id>`)
}
