/**
 * Verdicts told to the network, signed by the validator. One that cannot be signed now (the remote signer is down, or has
 * another key) waits on disk by its receipt's hash; the verdict itself is in the ledger already.
 *
 *   verdict -> signed, gossiped
 *           -> unsigned: waiting (disk) --again--> gossiped
 */
import { encodeVerdict, type VerdictRecord } from '../node/attribution/ledger.ts'
import { fromHex, type Hex, toHex } from '../node/base/bytes.ts'
import { messageOf } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import { isSignerFault } from '../node/keys/signer.ts'
import type { KvTable } from '../node/store/kv.ts'

/** Waiting verdicts that one `again` takes up. */
const AGAIN_MAX = 64

export type VerdictGossipModules = {
  /** receipt hash 32 -> 1 byte */
  readonly waiting: KvTable
  readonly log: Log
  verdict(receipt: Hex): Promise<VerdictRecord | null>
  /** Signs and gossips. @throws NodeError as `Signer.sign` */
  publish(payload: Uint8Array): Promise<unknown>
}

export class VerdictGossip {
  readonly #modules: VerdictGossipModules

  constructor(modules: VerdictGossipModules) {
    this.#modules = modules
  }

  /** Told, or on disk, when it returns. */
  async tell(verdict: VerdictRecord): Promise<void> {
    if (!(await this.#publish(verdict))) await this.later(verdict.receiptHash)
  }

  /** Told with the next that wait: for many at once, which peers would take no more of than their rate. */
  async later(receipt: Hex): Promise<void> {
    await this.#modules.waiting.put(fromHex(receipt), Uint8Array.of(1))
  }

  /** Those that wait, once more, until one cannot be signed. */
  async again(): Promise<void> {
    const { waiting, verdict } = this.#modules
    const keys: Uint8Array[] = []
    for await (const [key] of waiting.iterate({ limit: AGAIN_MAX })) keys.push(key)
    for (const key of keys) {
      const record = await verdict(toHex(key))
      if (record && !(await this.#publish(record))) return
      await waiting.delete(key)
    }
  }

  /** False when it could not be signed. */
  async #publish(verdict: VerdictRecord): Promise<boolean> {
    const { publish, log } = this.#modules
    try {
      await publish(encodeVerdict(verdict))
      return true
    } catch (error) {
      const { receiptHash: receipt } = verdict
      const isUnsigned = isSignerFault(error)
      log.warn(isUnsigned ? 'a verdict waits for its signature' : 'verdict not gossiped', {
        receipt,
        error: messageOf(error),
      })
      return !isUnsigned
    }
  }
}
