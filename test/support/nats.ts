/** A NATS server for tests: the one named by NATS_SERVER, on PATH, or in Go's usual place; null when there is none. */
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PLACES: readonly string[] = [
  process.env.NATS_SERVER ?? 'nats-server',
  join(homedir(), 'go/bin/nats-server'),
]

export const NATS_MISSING =
  'no nats-server: set NATS_SERVER, or GOFLAGS=-mod=mod go install github.com/nats-io/nats-server/v2@latest'

export type NatsServer = { readonly url: string; stop(): Promise<void> }

/** With JetStream on a port of its own; its files go into `dir`. */
export async function startNats(dir: string): Promise<NatsServer | null> {
  const program = PLACES.find((path) => spawnSync(path, ['--version']).status === 0)
  if (!program) return null
  const port = await freePort()
  const server = spawn(program, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dir], {
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

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
