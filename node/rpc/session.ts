/**
 * One WebSocket connection as methods see it: a way to push, and its subscriptions, which end with it.
 */
import { randomBytes } from 'node:crypto'
import { type Hex, toHex } from '../base/bytes.ts'
import { RPC, RpcError } from './errors.ts'
import type { Json } from './method.ts'

export class Session {
  readonly #send: (text: string) => void
  readonly #max: number
  readonly #stops = new Map<Hex, () => void>()

  constructor(send: (text: string) => void, subscriptionsMax: number) {
    this.#send = send
    this.#max = subscriptionsMax
  }

  /** `start` gets the function that pushes and returns the one that stops. */
  subscribe(start: (push: (result: Json) => void) => () => void, method = 'eth_subscription'): Hex {
    if (this.#stops.size >= this.#max) {
      throw new RpcError(
        RPC.limitExceeded,
        `this connection has ${this.#stops.size} subscriptions, at most ${this.#max}: eth_unsubscribe some`,
      )
    }
    const subscription = randomId()
    const stop = start((result) => {
      const params = { subscription, result }
      this.#send(JSON.stringify({ jsonrpc: '2.0', method, params }))
    })
    this.#stops.set(subscription, stop)
    return subscription
  }

  /** False when there is none of that id. */
  unsubscribe(id: Hex): boolean {
    const stop = this.#stops.get(id)
    stop?.()
    return this.#stops.delete(id)
  }

  close(): void {
    for (const stop of this.#stops.values()) stop()
    this.#stops.clear()
  }
}

/** Not to be guessed: whoever knows an id can read it. */
export function randomId(): Hex {
  return toHex(randomBytes(16))
}
