/** The thread behind `hash-thread.ts`: what fits is hashed natively at once, a larger file as it is read. */
import { open, stat } from 'node:fs/promises'
import { parentPort } from 'node:worker_threads'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { keccakHex, toHex, ZERO_HASH } from '../base/bytes.ts'
import { chunksOf } from './chunks.ts'
import type { HashAnswer, HashRequest } from './hash-thread.ts'
import { GET_BYTES_MAX } from './options.ts'

async function hashFile(path: string): Promise<Pick<HashAnswer, 'hash' | 'size'>> {
  const file = await open(path, 'r')
  try {
    if ((await stat(path)).size <= GET_BYTES_MAX) {
      const bytes = await file.readFile()
      return { hash: keccakHex(bytes), size: bytes.length }
    }
    const hasher = keccak_256.create()
    let size = 0
    for await (const chunk of chunksOf(file, path)) {
      hasher.update(chunk)
      size += chunk.length
    }
    return { hash: toHex(hasher.digest()), size }
  } finally {
    await file.close()
  }
}

/** One after another: what is being hashed is in memory, and there is one processor to do it. */
let turn: Promise<void> = Promise.resolve()
parentPort?.on('message', (request: HashRequest) => {
  turn = turn.then(() => answer(request))
})

async function answer(request: HashRequest): Promise<void> {
  const { id } = request
  const tell = (answer: Omit<HashAnswer, 'id'>, lent: ArrayBuffer[] = []): void =>
    parentPort?.postMessage({ id, ...answer }, lent)
  if ('bytes' in request) {
    const { bytes } = request
    return tell({ hash: keccakHex(bytes), size: bytes.length, bytes }, [bytes.buffer])
  }
  await hashFile(request.path).then(tell, ({ code, message }: NodeJS.ErrnoException) =>
    tell({ hash: ZERO_HASH, size: 0, why: { message, ...(code ? { code } : {}) } }),
  )
}
