/** A thread behind `sender.ts`: the same `ecrecover` that runs without it, for one signature a message. */
import { parentPort } from 'node:worker_threads'
import { ecrecover } from '@ethereumjs/util'

export type RecoverRequest = {
  readonly id: number
  readonly args: Parameters<typeof ecrecover>
}
/** `publicKey` null: not recoverable. */
export type RecoverAnswer = { readonly id: number; readonly publicKey: Uint8Array | null }

parentPort?.on('message', ({ id, args }: RecoverRequest) => {
  parentPort?.postMessage({ id, publicKey: recover(args) } satisfies RecoverAnswer)
})

function recover(args: RecoverRequest['args']): Uint8Array | null {
  try {
    return ecrecover(...args)
  } catch {
    return null
  }
}
