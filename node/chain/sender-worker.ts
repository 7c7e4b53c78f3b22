/** A thread behind `sender-threads.ts`: the twin's recovery, for one signature a message. */
import { parentPort } from 'node:worker_threads'
import { plainCrypto } from '../base/crypto.ts'
import type { ThreadAnswer, ThreadRequest } from './sender-threads.ts'

parentPort?.on('message', ({ id, signature }: ThreadRequest) => {
  const publicKey = plainCrypto.recover(signature)
  parentPort?.postMessage({ id, publicKey } satisfies ThreadAnswer)
})
