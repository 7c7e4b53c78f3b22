/**
 * Where blobs come from: the node's own archive first, then beacon endpoints in turn, healthy ones first. Each
 * blob seen is kept, by versioned hash. Whatever the source, a blob counts only when its KZG commitment has
 * the versioned hash that L1 committed to.
 *
 * A beacon node is asked by slot, which it tells itself how to count; a source without a clock (anvil, another
 * OpenLedger node) is asked by L1 block number.
 */
import type { Hex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { type Log, silentLog } from '../base/log.ts'
import type { BlobArchive } from './blob-archive.ts'
import { readText } from './client.ts'
import { type Endpoint, Endpoints, type Fault, retryAfterMs } from './endpoints.ts'
import { blobUnavailable, l1Invalid } from './errors.ts'
import { arrayOf, bytesOf, objectOf } from './json.ts'
import { blobVersionedHash } from './kzg.ts'
import { BLOB_BYTES, BLOBS_PER_TRANSACTION_MAX, type EndpointOptions } from './options.ts'
import type { L1BlockRef } from './types.ts'

/** One blob as JSON, and some room for the rest of the answer. */
const BLOB_JSON_BYTES = 2 * BLOB_BYTES + 1024
const SMALL_JSON_BYTES = 2 ** 20

export type BeaconOptions = {
  /** Base URLs, without `/eth/v1/...`. */
  readonly endpoints: readonly string[]
  readonly timeoutMs: number
  readonly health?: Partial<EndpointOptions>
}

/** How an endpoint counts: slots of a beacon chain, or null for L1 block numbers. Seconds. */
type Clock = { readonly genesisTime: bigint; readonly secondsPerSlot: bigint } | null

type Block = Pick<L1BlockRef, 'number' | 'timestamp'>

class SourceError extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.reason)
    this.fault = fault
  }
}

export class BlobSource {
  readonly #archive: BlobArchive | null
  readonly #endpoints: Endpoints
  readonly #timeoutMs: number
  readonly #clocks = new Map<string, Clock>()

  constructor(
    archive: BlobArchive | null,
    beacon: BeaconOptions,
    modules: { readonly log?: Log; readonly now?: () => number } = {},
  ) {
    this.#archive = archive
    const { log = silentLog, now } = modules
    const urls = beacon.endpoints.map((url) => url.replace(/\/+$/, ''))
    this.#endpoints = new Endpoints(urls, { log, ...(now && { now }) }, beacon.health)
    this.#timeoutMs = beacon.timeoutMs
  }

  /** In the order asked for. @throws NodeError `l1-blob-unavailable` (retry) unless all are there. */
  async blobs(block: Block, hashes: readonly Hex[]): Promise<Uint8Array[]> {
    const found = new Map<Hex, Uint8Array>()
    const causes: string[] = []
    for (const hash of new Set(hashes)) {
      const blob = await this.#archive?.get(hash)
      if (!blob) continue
      if (await matches(blob, hash)) found.set(hash, blob)
      else causes.push('the archived blob is damaged')
    }
    for (const { endpoint, waitMs, fault } of this.#endpoints.inOrder()) {
      const missing = [...new Set(hashes)].filter((hash) => !found.has(hash))
      if (missing.length === 0) break
      if (waitMs > 0 && fault?.kind === 'limited') {
        causes.push(`${endpoint.name}: ${fault.reason}`)
        continue
      }
      try {
        await this.#fetch(endpoint, block, missing, found)
        this.#endpoints.succeeded(endpoint)
      } catch (error) {
        causes.push(`${endpoint.name}: ${messageOf(error)}`)
        this.#clocks.delete(endpoint.url)
        this.#endpoints.failed(endpoint, faultOf(error))
      }
    }
    return hashes.map((hash) => {
      const blob = found.get(hash)
      if (!blob) throw blobUnavailable(hash, block.number, causes)
      return blob
    })
  }

  async #fetch(
    endpoint: Endpoint,
    block: Block,
    missing: readonly Hex[],
    found: Map<Hex, Uint8Array>,
  ): Promise<void> {
    const id = blockId(await this.#clockOf(endpoint), block)
    const path = `/eth/v1/beacon/blobs/${id}?versioned_hashes=${missing.join(',')}`
    const limit = BLOBS_PER_TRANSACTION_MAX * BLOB_JSON_BYTES
    const { response, text } = await this.#get(endpoint, path, limit)
    if (!response.ok) throw refused(response, text)
    const blobs = arrayOf(objectOf(JSON.parse(text), 'beacon answer').data, 'blobs')
    let strangers = 0
    for (const value of blobs) {
      const blob = bytesOf(value, 'blob', BLOB_BYTES)
      const hash = await hashOf(blob)
      if (!hash || !missing.includes(hash)) {
        strangers++
        continue
      }
      found.set(hash, blob)
      await this.#archive?.put(hash, blob)
    }
    const rest = missing.filter((hash) => !found.has(hash))
    if (rest.length === 0) return
    const reason = `beacon gave ${blobs.length} blobs, none of which matches ${rest.join(', ')}`
    throw strangers > 0 ? l1Invalid(reason) : new SourceError({ kind: 'stale', reason })
  }

  async #clockOf(endpoint: Endpoint): Promise<Clock> {
    const known = this.#clocks.get(endpoint.url)
    if (known !== undefined) return known
    const spec = await this.#get(endpoint, '/eth/v1/config/spec', SMALL_JSON_BYTES)
    const seconds = spec.response.ok ? secondsPerSlotOf(spec.text) : undefined
    let clock: Clock = null
    if (seconds !== undefined) {
      const genesis = await this.#get(endpoint, '/eth/v1/beacon/genesis', SMALL_JSON_BYTES)
      if (!genesis.response.ok) throw refused(genesis.response, genesis.text)
      const genesisTime = decimalOf(dataOf(genesis.text).genesis_time, 'genesis_time')
      const secondsPerSlot = decimalOf(seconds, 'SECONDS_PER_SLOT')
      if (secondsPerSlot === 0n) throw l1Invalid('SECONDS_PER_SLOT is 0')
      clock = { genesisTime, secondsPerSlot }
    }
    this.#clocks.set(endpoint.url, clock)
    return clock
  }

  async #get(
    { url }: Endpoint,
    path: string,
    bytesMax: number,
  ): Promise<{ response: Response; text: string }> {
    const response = await fetch(`${url}${path}`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(this.#timeoutMs),
    })
    return { response, text: await readText(response, bytesMax) }
  }
}

function blockId(clock: Clock, { number, timestamp }: Block): bigint {
  return clock ? (timestamp - clock.genesisTime) / clock.secondsPerSlot : number
}

function refused(response: Response, text: string): SourceError {
  const reason = `beacon answered ${response.status}: ${text.slice(0, 120)}`
  if (response.status !== 429) return new SourceError({ kind: 'down', reason })
  const after = retryAfterMs(response.headers.get('retry-after'), Date.now())
  return new SourceError({ kind: 'limited', reason, retryAfterMs: after })
}

function faultOf(error: unknown): Fault {
  if (error instanceof SourceError) return error.fault
  const isLie = error instanceof Error && 'code' in error && error.code === 'l1-invalid'
  return { kind: isLie ? 'lied' : 'down', reason: messageOf(error) }
}

function dataOf(text: string): Readonly<Record<string, unknown>> {
  return objectOf(objectOf(JSON.parse(text), 'beacon answer').data, 'data')
}

/** Undefined where there is no such thing as a slot. An answer cut short says the same and is put right after
 * the request that fails because of it. */
function secondsPerSlotOf(spec: string): unknown {
  try {
    return dataOf(spec).SECONDS_PER_SLOT
  } catch {
    return undefined
  }
}

function decimalOf(value: unknown, name: string): bigint {
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value)
  throw l1Invalid(`${name} is not a decimal number`)
}

async function matches(blob: Uint8Array, hash: Hex): Promise<boolean> {
  return blob.length === BLOB_BYTES && (await hashOf(blob)) === hash
}

/** Null when the bytes are no blob (a field element over the modulus). */
async function hashOf(blob: Uint8Array): Promise<Hex | null> {
  return blobVersionedHash(blob).catch((error) => {
    if (error instanceof Error && 'code' in error && error.code === 'kzg') return null
    throw error
  })
}
