/**
 * KZG for blobs (EIP-4844, EIP-7594): commitments, versioned hashes, proofs. One worker thread for the
 * process does the work, started on first use or by `loadKzg()`; it does not keep the process alive.
 */
import { Worker } from 'node:worker_threads'
import { sha256 } from '@noble/hashes/sha2.js'
import { type Hex, toHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { BlobSidecar, KzgAnswer, KzgRequest } from './kzg-worker.ts'

export type { BlobSidecar } from './kzg-worker.ts'

const VERSIONED_HASH_VERSION_KZG = 0x01
/** Requests waiting at once; a node has a few blobs per L1 block. */
const PENDING_MAX = 1024

export type BlobProofs = {
  readonly commitment: Uint8Array
  readonly versionedHash: Hex
  /** cells: 128 per blob; blob: one. */
  readonly proofs: readonly Uint8Array[]
}

type Waiting = {
  resolve(answer: Extract<KzgAnswer, { ok: true }>): void
  reject(error: Error): void
}

let worker: Worker | null = null
let nextId = 0
const waiting = new Map<number, Waiting>()

/** Begins loading the trusted setup, so that the first blob does not wait for it. */
export function loadKzg(): void {
  worker ??= startWorker()
}

/** @throws NodeError `kzg` when the bytes are no blob (a field element over the modulus). */
export async function blobVersionedHash(blob: Uint8Array): Promise<Hex> {
  const { commitment } = await ask({ blob, proofs: 'none' })
  return versionedHashOf(commitment)
}

export async function proveBlob(blob: Uint8Array, kind: 'cells' | 'blob'): Promise<BlobProofs> {
  const { commitment, proofs } = await ask({ blob, proofs: kind })
  return { commitment, proofs, versionedHash: versionedHashOf(commitment) }
}

/** Whether every blob has its commitment and proofs. */
export async function verifySidecar(
  sidecar: BlobSidecar,
): Promise<{ ok: true; versionedHashes: readonly Hex[] } | { ok: false; reason: string }> {
  try {
    await ask({ sidecar })
    return { ok: true, versionedHashes: sidecar.commitments.map(versionedHashOf) }
  } catch (error) {
    if (error instanceof NodeError && error.code === 'kzg') {
      return { ok: false, reason: error.message }
    }
    throw error
  }
}

export function versionedHashOf(commitment: Uint8Array): Hex {
  const hash = sha256(commitment)
  hash[0] = VERSIONED_HASH_VERSION_KZG
  return toHex(hash)
}

/** What a request says beside its number. */
type Question = KzgRequest extends infer R ? (R extends KzgRequest ? Omit<R, 'id'> : never) : never

function ask(question: Question): Promise<Extract<KzgAnswer, { ok: true }>> {
  if (waiting.size >= PENDING_MAX) {
    const message = `${PENDING_MAX} blobs are waiting for their commitments; try again`
    return Promise.reject(new NodeError('kzg-busy', 'retry', message))
  }
  worker ??= startWorker()
  const id = nextId++
  const request = { id, ...question } as KzgRequest
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    worker?.ref()
    worker?.postMessage(request)
  })
}

function startWorker(): Worker {
  const started = new Worker(new URL('./kzg-worker.ts', import.meta.url), { execArgv: [] })
  started.unref()
  started.on('message', (answer: KzgAnswer) => {
    const asked = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (waiting.size === 0) started.unref()
    if (answer.ok) asked?.resolve(answer)
    else asked?.reject(new NodeError('kzg', 'user', `not a blob: ${answer.reason}`))
  })
  const fail = (cause: unknown): void => {
    if (worker === started) worker = null
    for (const { reject } of waiting.values()) {
      reject(new NodeError('kzg-worker', 'retry', 'the KZG thread ended', {}, cause))
    }
    waiting.clear()
  }
  started.once('error', fail)
  started.once('exit', fail)
  return started
}
