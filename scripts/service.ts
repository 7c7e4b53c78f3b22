/**
 * The life of a node's process: lock, log, node, role, signals, end.
 *
 *   lock the data directory -> open -> start -> ready line -> ... -> stop -> unlock
 *
 * Whatever ends it (a signal, a full disk, an exception nobody caught) goes the same way out: the role
 * is stopped, the database closed, the lock released, and the status says why. What takes too long is
 * cut off: the database is safe at every instant, since each change is one synced write.
 */
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
import { createValidator } from '../prover/main.ts'
import { createSequencer } from '../sequencer/main.ts'
import { EXIT, type ExitCode, exitOf } from './cli/exit.ts'

/** A clean stop takes well under this (the test prints how long); then the process ends anyway. */
const STOP_MS_MAX = 10_000

type Service = { start(): Promise<string>; stop(): Promise<void> }
type End = { readonly error: unknown } | { readonly signal: string }

/** Resolves when the node has stopped. @throws NodeError when it cannot start */
export async function runService(options: NodeOptions, config: ChainConfig): Promise<ExitCode> {
  const dataDir = openDataDir(options.dataDir, { role: options.role, now: Date.now() })
  const control = openLog({
    level: options.logLevel,
    levels: options.logLevels,
    format: options.logFormat,
    secrets: secretsOf(options),
    ...(options.logFile && { path: options.logFile }),
  })
  const { log } = control
  tellStart(log, options, config, dataDir)
  const ended = waitForEnd(control)
  let service: Service | null = null
  try {
    const node = await createNode(options.role, { config, options, log })
    // From here on there is something to close, whatever happens.
    service = node
    service = serviceOf(node)
    node.adminMethods.push(logMethods(control), snapshotMethods(node.store))
    node.store.database.onFailure(ended.fail)
    guardDisk({
      path: dataDir.path,
      freeMinMib: options.diskFreeMinMib,
      log,
      onFull: ended.fail,
    })
    const url = await service.start()
    tellReady(node, url)
    const end = await ended.promise
    return await shutDown(end, service, dataDir, log)
  } catch (error) {
    await service?.stop().catch(() => {})
    dataDir.close()
    throw error
  }
}

function serviceOf(node: Node): Service {
  if (node.options.role === 'sequencer') return createSequencer(node)
  if (node.options.role === 'validator') return createValidator(node)
  return node
}

function tellStart(log: Log, options: NodeOptions, config: ChainConfig, dataDir: DataDir): void {
  const { unclean } = dataDir
  if (unclean) {
    log.warn('the last run did not shut down cleanly; the database is consistent', {
      pid: unclean.pid,
      role: unclean.role,
      since: new Date(unclean.since).toISOString(),
    })
  }
  log.info('starting', {
    version: VERSION,
    role: options.role,
    chainId: config.l2ChainId,
    l1ChainId: config.l1ChainId,
    dataDir: dataDir.path,
    pid: process.pid,
  })
}

/** One line for whoever started us; the log is for people. */
function tellReady(node: Node, url: string): void {
  const [p2p] = node.p2p.multiaddrs()
  const { metricsUrl: metrics, adminUrl: admin } = node.doors()
  const line = { ready: true, url, p2p, ...(metrics && { metrics }), ...(admin && { admin }) }
  process.stdout.write(`${JSON.stringify(line)}\n`)
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

async function shutDown(end: End, service: Service, dataDir: DataDir, log: Log): Promise<ExitCode> {
  const status = 'error' in end ? exitOf(end.error) : EXIT.ok
  const started = performance.now()
  log.info('stopping', 'signal' in end ? { signal: end.signal } : { error: messageOf(end.error) })
  const force = setTimeout(() => {
    log.error('the node does not stop; ending it', { ms: STOP_MS_MAX })
    process.exit(status || EXIT.failure)
  }, STOP_MS_MAX)
  await service.stop().catch((error) => log.warn('stop failed', { error: messageOf(error) }))
  clearTimeout(force)
  dataDir.close()
  log.info('stopped', { ms: Math.round(performance.now() - started), status })
  if ('error' in end) process.stderr.write(`openledger: ${messageOf(end.error)}\n`)
  // libp2p and worker threads may leave handles that would hold the process.
  process.exit(status)
}
