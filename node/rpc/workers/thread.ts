/**
 * An RPC thread: opens the database that the process has open, and answers one call after the other with
 * the same methods as the node's own thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Log } from '../../base/log.ts'
import { Store } from '../../store/store.ts'
import { createContext } from '../context.ts'
import { Dispatcher } from '../dispatch.ts'
import { RPC } from '../errors.ts'
import { methodTable } from '../methods/index.ts'
import type { FromThread, Outcome, ThreadSeed, ToThread } from './protocol.ts'
import { ReplicaChain } from './replica.ts'

const { path, config, options, heads } = workerData as ThreadSeed

const say = (message: FromThread): void => parentPort?.postMessage(message)

const log: Log = {
  debug() {},
  info() {},
  warn: (event, data = {}) => say({ kind: 'log', level: 'warn', event, data: plain(data) }),
  error: (event, data = {}) => say({ kind: 'log', level: 'error', event, data: plain(data) }),
  child: () => log,
}

const store = await Store.open(path)
const chain = new ReplicaChain({ config, store, heads })
const context = createContext(options, { chain, log })
const dispatcher = new Dispatcher(context, methodTable(context))

parentPort?.on('message', async (message: ToThread) => {
  switch (message.kind) {
    case 'heads':
      return chain.follow(message.heads)
    case 'call': {
      const outcome = await dispatcher.outcome(message.method, message.params)
      return say({ kind: 'outcome', outcome: bounded(outcome) })
    }
  }
})
say({ kind: 'ready' })

/** Before it is copied to the other side. */
function bounded(outcome: Outcome): Outcome {
  const { responseBytesMax } = options
  if (!outcome.ok || outcome.text.length <= responseBytesMax) return outcome
  const message = `response too large: ${outcome.text.length} bytes, at most ${responseBytesMax}: ask for less`
  return { ok: false, code: RPC.responseTooLarge, message }
}

/** What may cross between threads. */
function plain(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      value instanceof Error ? value.message : typeof value === 'object' ? String(value) : value,
    ]),
  )
}
