/**
 * Opens what an operator talks to: the metrics server and the admin server, each only when it has a port.
 */
import type { Log } from '../base/log.ts'
import type { NodeOptions } from '../options.ts'
import type { RpcContext } from '../rpc/context.ts'
import { Dispatcher } from '../rpc/dispatch.ts'
import type { RpcMethods } from '../rpc/method.ts'
import type { Check } from './health.ts'
import { jwtPathOf, loadJwtSecret } from './jwt.ts'
import type { Metrics } from './metrics.ts'
import { adminHandler, type Listening, listen, metricsHandler } from './server.ts'

export type Doors = {
  readonly metricsUrl: string | null
  readonly adminUrl: string | null
  close(): Promise<void>
}

export const CLOSED_DOORS: Doors = { metricsUrl: null, adminUrl: null, close: async () => {} }

/** @throws NodeError `port-taken`, `key-file` */
export async function openDoors(modules: {
  readonly options: NodeOptions
  readonly log: Log
  readonly metrics: Metrics
  readonly checks: readonly Check[]
  readonly context: RpcContext
  /** admin_ methods of every room. */
  readonly adminMethods: readonly RpcMethods[]
}): Promise<Doors> {
  const { options, metrics, checks, context, adminMethods } = modules
  const log = modules.log.child('monitor')
  const open: Listening[] = []
  const close = async (): Promise<void> => {
    for (const door of open.splice(0).reverse()) await door.close()
  }
  try {
    let [metricsUrl, adminUrl]: (string | null)[] = [null, null]
    if (options.metricsPort !== null) {
      const at = { host: options.metricsHost, port: options.metricsPort, option: 'metrics-port' }
      const door = await listen(
        metricsHandler(metrics, () => checks, log),
        at,
      )
      open.push(door)
      metricsUrl = door.url
    }
    if (options.adminPort !== null) {
      const secret = loadJwtSecret(jwtPathOf(options))
      const dispatcher = new Dispatcher(context, Object.assign({}, ...adminMethods) as RpcMethods)
      const handler = adminHandler({
        secret,
        dispatch: (body) => dispatcher.handle(body),
        now: () => Date.now() / 1000,
        log,
      })
      const at = { host: options.adminHost, port: options.adminPort, option: 'admin-port' }
      const door = await listen(handler, at)
      open.push(door)
      adminUrl = door.url
    }
    if (open.length) log.info('operator ports open', { metricsUrl, adminUrl })
    return { metricsUrl: metricsUrl ?? null, adminUrl: adminUrl ?? null, close }
  } catch (error) {
    await close()
    throw error
  }
}
