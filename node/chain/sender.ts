/**
 * Who signed a transaction. Recovering the key is the dearest step of a transfer, so it is done once for the
 * mempool, the builder and the check before signing, and where the caller can wait, off the event loop:
 * all that is asked for in one turn goes to the native threads as one batch (40 us each on one core), or one by
 * one to worker threads where there is no addon (1 to 2 ms each).
 *
 *   recoverAside -> threads -> cache <- recoverSender -> (missing: recovered here)
 *
 * The threads only fill the cache: whatever they cannot say, `recoverSender` finds out and reports.
 */
import {
  RECOVER_ANSWER_BYTES,
  RECOVER_REQUEST_BYTES,
  recoverPublicKeys,
} from '../../native/index.ts'
import { type Hex, keccak, toHex } from '../base/bytes.ts'
import { crypto, encodeRecoverRequest, type RecoverRequest } from '../base/crypto.ts'
import { LruMap } from '../store/lru.ts'
import { chainOptions } from './options.ts'
import { recoverOnThread } from './sender-threads.ts'

const { recoveredMax, recoverPendingMax } = chainOptions

/** Public keys by transaction hash. */
const recovered = new LruMap<Hex, Uint8Array>(recoveredMax)

/** The public key of who signed transaction `hash`, 64 bytes; null when the signature is none. */
export function recoverSender(signature: RecoverRequest, hash: Hex): Uint8Array | null {
  const known = recovered.get(hash)
  if (known) return known
  const key = crypto.recover(signature)
  if (key) recovered.set(hash, key)
  return key
}

export function addressOf(publicKey: Uint8Array): Hex {
  return toHex(keccak(publicKey).subarray(12))
}

/** Makes the next `recoverSender` cheap. Calls end in the order they were made: a sender's transactions
 * stay in theirs. Never rejects. */
export function recoverAside(signature: RecoverRequest, hash: Hex): Promise<void> {
  if (!recovered.get(hash)) {
    const work = crypto.fault === null ? inBatch(signature, hash) : onThread(signature, hash)
    before = Promise.all([before, work]).then(() => {})
  }
  return before
}

/** Ends when everything asked so far has. */
export function recoveredSoFar(): Promise<void> {
  return before
}

let before: Promise<void> = Promise.resolve()
let pending = 0

async function onThread(signature: RecoverRequest, hash: Hex): Promise<void> {
  if (pending >= recoverPendingMax) return
  pending++
  const key = await recoverOnThread(signature)
  pending--
  if (key) recovered.set(hash, key)
}

type Batch = {
  readonly hashes: Hex[]
  readonly requests: Uint8Array[]
  readonly done: Promise<void>
}

/** Of this turn of the event loop; null when nothing was asked yet. */
let gathering: Batch | null = null

function inBatch(signature: RecoverRequest, hash: Hex): Promise<void> {
  if (pending >= recoverPendingMax) return Promise.resolve()
  pending++
  gathering ??= beginBatch()
  gathering.hashes.push(hash)
  gathering.requests.push(encodeRecoverRequest(signature))
  return gathering.done
}

function beginBatch(): Batch {
  const batch: Batch = {
    hashes: [],
    requests: [],
    done: Promise.resolve().then(() => {
      gathering = null
      return finishBatch(batch)
    }),
  }
  return batch
}

async function finishBatch({ hashes, requests }: Batch): Promise<void> {
  const joined = new Uint8Array(requests.length * RECOVER_REQUEST_BYTES)
  for (const [i, request] of requests.entries()) joined.set(request, i * RECOVER_REQUEST_BYTES)
  try {
    const answers = await recoverPublicKeys(joined)
    for (const [i, hash] of hashes.entries()) {
      const answer = answers.slice(i * RECOVER_ANSWER_BYTES, (i + 1) * RECOVER_ANSWER_BYTES)
      if (answer[0] === 1) recovered.set(hash, answer.subarray(1))
    }
  } catch {
    // No thread to be had: those who asked recover for themselves.
  } finally {
    pending -= hashes.length
  }
}
