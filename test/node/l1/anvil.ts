/** A real L1 with blobs for one test file: anvil on a free port, mining only when told to. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Hex } from '../../../node/base/bytes.ts'

export type Anvil = {
  readonly url: string
  rpc<T = unknown>(method: string, ...params: unknown[]): Promise<T>
  mine(): Promise<void>
  stop(): Promise<void>
}

/** Accounts of anvil's test mnemonic: public knowledge. */
export const KEYS: readonly Hex[] = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
]

export async function startAnvil(...flags: string[]): Promise<Anvil> {
  const root = dirname(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'))
  const bin = join(root, '..', '..', '.bin', 'anvil')
  const child = spawn(bin, ['--port', '0', '--no-mining', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(output)?.[1]
      if (port) resolve(`http://127.0.0.1:${port}`)
    })
    child.once('exit', () => reject(new Error(`anvil ended: ${output}`)))
  })
  let id = 0
  const rpc = async <T>(method: string, ...params: unknown[]): Promise<T> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
    })
    const { result, error } = (await response.json()) as { result: T; error?: { message: string } }
    if (error) throw new Error(`${method}: ${error.message}`)
    return result
  }
  return {
    url,
    rpc,
    async mine() {
      await rpc('evm_mine')
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
