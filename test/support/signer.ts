/** Starts `signer-process.ts`. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Hex } from '../../node/base/bytes.ts'

export function startSigner(key: Hex): Promise<{ url: string; stop(): Promise<void> }> {
  const script = join(import.meta.dirname, 'signer-process.ts')
  const child = spawn(process.execPath, [script, key], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the signer ended with ${code}`)))
    child.stdout.once('data', (chunk: Buffer) => {
      resolve({
        url: String(chunk).trim(),
        stop: async () => {
          child.kill()
          await ended
        },
      })
    })
  })
}
