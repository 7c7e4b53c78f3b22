/**
 * The devnet's node processes: each gets a folder with its configuration and log, says on its first line
 * where it listens, and is stopped with us.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { userError } from '../../node/base/errors.ts'
import type { Role as RoleName } from '../../node/options.ts'

export type Role = {
  readonly url: string
  readonly p2p: string
  /** The metrics and the admin server, where they have a port. */
  readonly metrics?: string
  readonly admin?: string
  readonly pid: number
  /** Ends it in good order. */
  stop(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
}

/** One that ends is noticed at once; this is for one that hangs, and a busy machine starts slowly. */
const READY_MS_MAX = 240_000
const STOP_MS_MAX = 10_000
const STDERR_KEPT = 4_000

/** What is run: the node's own program, unless a test wants one that behaves otherwise. */
export type Program = { readonly file: string; readonly env: NodeJS.ProcessEnv }
const NODE: Program = {
  file: join(import.meta.dirname, '../openledger.mjs'),
  env: {},
}

/** `config` is the role's configuration file; the folder and the log are set here. */
export async function startRole(
  role: RoleName,
  devnetDir: string,
  config: Readonly<Record<string, unknown>>,
  program: Program = NODE,
): Promise<Role> {
  const dir = join(devnetDir, role)
  mkdirSync(dir, { recursive: true })
  const all = { dataDir: join(dir, 'data'), logFile: join(dir, 'log.jsonl'), ...config }
  writeFileSync(join(dir, 'config.json'), `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 })
  return restartRole(role, devnetDir, program)
}

/** Starts a role on the configuration and data that are there. */
export async function restartRole(
  role: RoleName,
  devnetDir: string,
  program: Program = NODE,
): Promise<Role> {
  const config = join(devnetDir, role, 'config.json')
  const child = spawn(process.execPath, [program.file, 'run', '--role', role, '--config', config], {
    env: { ...process.env, ...program.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A terminal's Ctrl-C goes to us alone, and we stop them in order.
    detached: true,
  })
  const said = await ready(role, child)
  return { ...said, pid: child.pid as number, stop: () => stop(child), kill: () => kill(child) }
}

type Ready = Pick<Role, 'url' | 'p2p' | 'metrics' | 'admin'>

function ready(role: string, child: ChildProcess): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let output = ''
    let errors = ''
    const timer = setTimeout(
      () => fail(`was not ready within ${READY_MS_MAX / 1000} s`),
      READY_MS_MAX,
    )
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(userError('role-failed', `the ${role} ${why}: ${errors.slice(-STDERR_KEPT).trim()}`))
    }
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk).slice(-STDERR_KEPT)
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk
      const line = output.split('\n').find((text) => text.startsWith('{"ready":true'))
      if (!line || !output.includes('\n')) return
      clearTimeout(timer)
      const { ready: _, ...said } = JSON.parse(line) as Ready & { ready: true }
      resolve(said)
    })
    child.once('exit', (code) => fail(`ended with status ${code}`))
  })
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    child.once('exit', () => {
      clearTimeout(force)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** The wanted port, or a free one when somebody has it or 0 is wanted. */
export function freePort(wanted: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(freePort(0)))
    probe.listen(wanted, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}
