/**
 * The life of a node's process: lock, log, node, role, signals, end.
 *
 *   lock the data directory -> open -> start -> ready line -> ... -> stop -> unlock
 *
 * Whatever ends it (a signal, a full disk, an exception nobody caught) goes the same way out: the role
 * is stopped, the database closed, the lock released, and the status says why. What takes too long is
 * cut off: the database is safe at every instant, since each change is one synced write.
 */
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import type { ChainConfig } from '../genesis/chain.ts'
import { messageOf } from '../node/base/errors.ts'
import { type Log, type LogControl, openLog } from '../node/base/log.ts'
import { VERSION } from '../node/base/version.ts'
import { type DataDir, openDataDir } from '../node/datadir/datadir.ts'
import { guardDisk } from '../node/datadir/disk.ts'
import { secretsOf } from '../node/keys/resolve.ts'
import { createNode, type Node } from '../node/main.ts'
import { logMethods, snapshotMethods } from '../node/monitor/admin.ts'
import type { NodeOptions } from '../node/options.ts'
import { EXIT, type ExitCode, exitOf } from './cli/exit.ts'

/** A clean stop takes well under this (the test prints how long); then the process ends anyway. */
const STOP_MS_MAX = 10_000

/**
 * How far the heap of a follower, which shares its machine, may outgrow what is alive in it before garbage is collected,
 * per cent. V8 itself would let it grow to four times as much.
 */
const HEAP_GROWING_PERCENT = 100

type Service = { stop(): Promise<void> }
type End = { readonly error: unknown } | { readonly signal: string }
type Life = {
  readonly control: LogControl
  readonly dataDir: DataDir
  /** Ends the node because of an error. */
  readonly fail: (error: unknown) => void
  /** To be called as soon as there is something to stop. */
  holds(service: Service): void
}

/** Ends when the node has stopped. @throws NodeError when it cannot start */
export async function runNode(options: NodeOptions, config: ChainConfig): Promise<ExitCode> {
  return live(options, options.role, async ({ control, dataDir, fail, holds }) => {
    const { log } = control
    const { role, dataDir: path } = options
    if (role === 'follower') setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
    const chains = { chainId: config.l2ChainId, l1ChainId: config.l1ChainId }
    log.info('starting', { version: VERSION, role, ...chains, dataDir: path, pid: process.pid })
    const node = await createNode(role, { config, options, log })
    holds(node)
    const service = await serviceOf(node)
    holds(service)
    node.adminMethods.push(logMethods(control), snapshotMethods(node.store))
    node.store.database.onFailure(fail)
    const { diskFreeMinMib: freeMinMib } = options
    guardDisk({ path: dataDir.path, freeMinMib, log, onFull: fail })
    const url = await service.start()
    const [p2p] = node.p2p.multiaddrs()
    const { metricsUrl: metrics, adminUrl: admin } = node.doors()
    return { url, p2p, ...(metrics && { metrics }), ...(admin && { admin }) }
  })
}

/** An imported chain, served: the same life without a role. */
export async function runOffline(options: NodeOptions): Promise<ExitCode> {
  return live(options, 'offline', async ({ control: { log }, holds }) => {
    const { dataDir, rpcHost: host, rpcPort: port } = options
    const { startOffline } = await import('../node/ethereum/offline.ts')
    const node = await startOffline({ dataDir, host, port, log })
    holds(node)
    return { url: node.url }
  })
}

/** `start` answers what the ready line says: one line for whoever started us; the log is for people. */
async function live(
  options: NodeOptions,
  role: string,
  start: (life: Life) => Promise<Readonly<Record<string, unknown>>>,
): Promise<ExitCode> {
  const dataDir = openDataDir(options.dataDir, { role, now: Date.now() })
  const held: { service?: Service } = {}
  try {
    const control = openLog({
      level: options.logLevel,
      levels: options.logLevels,
      format: options.logFormat,
      secrets: secretsOf(options),
      ...(options.logFile && { path: options.logFile }),
    })
    tellUnclean(control.log, dataDir)
    const ended = waitForEnd(control)
    const holds = (service: Service): void => {
      held.service = service
    }
    const said = await start({ control, dataDir, fail: ended.fail, holds })
    process.stdout.write(`${JSON.stringify({ ready: true, ...said })}\n`)
    // Now, since a process that is killed writes nothing.
    flushCompileCache()
    return await shutDown(await ended.promise, held.service, dataDir, control.log)
  } catch (error) {
    await held.service?.stop().catch(() => {})
    dataDir.close()
    throw error
  }
}

/** A role's own rooms are loaded where it is played. */
async function serviceOf(node: Node): Promise<Service & { start(): Promise<string> }> {
  switch (node.options.role) {
    case 'sequencer':
      return (await import('../sequencer/main.ts')).createSequencer(node)
    case 'validator':
      return (await import('../prover/main.ts')).createValidator(node)
    case 'follower':
      return node
  }
}

function tellUnclean(log: Log, { unclean }: DataDir): void {
  if (!unclean) return
  log.warn('the last run did not shut down cleanly; the database is consistent', {
    pid: unclean.pid,
    role: unclean.role,
    since: new Date(unclean.since).toISOString(),
  })
}

/** The first reason to end; later ones are logged. A second signal does not wait. */
function waitForEnd(control: LogControl): {
  promise: Promise<End>
  fail(error: unknown): void
} {
  const { log } = control
  let settle: ((end: End) => void) | null = null
  const promise = new Promise<End>((resolve) => {
    settle = resolve
  })
  const end = (how: End): boolean => {
    if (!settle) return false
    settle(how)
    settle = null
    return true
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (end({ signal })) return
      log.warn('second signal, ending at once', { signal })
      process.exit(EXIT.killed)
    })
  }
  process.on('SIGHUP', () => control.reopen())
  const fail = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined
    const first = end({ error })
    log.error(first ? 'stopping because of an error' : 'another error while stopping', {
      error: messageOf(error),
      stack,
    })
  }
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
  return { promise, fail }
}

async function shutDown(
  end: End,
  service: Service | undefined,
  dataDir: DataDir,
  log: Log,
): Promise<ExitCode> {
  const status = 'error' in end ? exitOf(end.error) : EXIT.ok
  const started = performance.now()
  log.info('stopping', 'signal' in end ? { signal: end.signal } : { error: messageOf(end.error) })
  const force = setTimeout(() => {
    log.error('the node does not stop; ending it', { ms: STOP_MS_MAX })
    process.exit(status || EXIT.failure)
  }, STOP_MS_MAX)
  await service?.stop().catch((error) => log.warn('stop failed', { error: messageOf(error) }))
  clearTimeout(force)
  dataDir.close()
  log.info('stopped', { ms: Math.round(performance.now() - started), status })
  if ('error' in end) process.stderr.write(`openledger: ${messageOf(end.error)}\n`)
  // libp2p and worker threads may leave handles that would hold the process.
  process.exit(status)
}
