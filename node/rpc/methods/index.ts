/** The method table: one file per group, and the two methods that describe the table itself. */
import type { RpcContext } from '../context.ts'
import { type Json, type JsonObject, method, type RpcMethods } from '../method.ts'
import { openRpcDocument } from '../openrpc.ts'
import { schemas } from '../params.ts'
import { listOf, mapOf, openShape, text } from '../results/shape.ts'
import { callMethods } from './call.ts'
import { chainMethods } from './chain.ts'
import { configMethods } from './config.ts'
import { debugMethods } from './debug.ts'
import { feeMethods } from './fee.ts'
import { logMethods } from './logs.ts'
import { netMethods } from './net.ts'
import { optimismMethods } from './optimism.ts'
import { signMethods } from './sign.ts'
import { simulateMethods } from './simulate.ts'
import { stateMethods } from './state.ts'
import { subscribeMethods } from './subscribe.ts'
import { traceMethods } from './trace.ts'
import { transactionMethods } from './transaction.ts'
import { txpoolMethods } from './txpool.ts'

/** `more`: methods of other rooms. @throws when two have one name */
export function methodTable(
  { chain, options, clientVersion }: Pick<RpcContext, 'chain' | 'options' | 'clientVersion'>,
  more: readonly RpcMethods[] = [],
): RpcMethods {
  const table: Record<string, RpcMethods[string]> = {}
  const groups: readonly RpcMethods[] = [
    chainMethods,
    stateMethods,
    callMethods,
    simulateMethods,
    transactionMethods,
    signMethods,
    feeMethods,
    logMethods(options),
    subscribeMethods(options),
    txpoolMethods,
    netMethods,
    ...(chain.config ? [optimismMethods, configMethods] : []),
    debugMethods,
    traceMethods,
    ...more,
  ]
  for (const [name, entry] of groups.flatMap((group) => Object.entries(group))) {
    if (table[name]) throw new Error(`two JSON-RPC methods are called ${name}`)
    table[name] = entry
  }
  let document: Json | undefined
  table['rpc.discover'] = method({
    summary: 'The OpenRPC document of this server',
    params: [],
    result: openShape({ openrpc: text, info: schemas.object, methods: listOf(schemas.object) }),
    handler: () => {
      document ??= openRpcDocument(table, clientVersion)
      return document
    },
  })
  table.rpc_modules = method({
    summary: 'Namespaces and their versions',
    params: [],
    result: mapOf(text),
    handler: () => modulesOf(table),
  })
  return table
}

function modulesOf(table: RpcMethods): JsonObject {
  const names = Object.keys(table).map((name) => name.split(/[._]/)[0] as string)
  return Object.fromEntries([...new Set(names)].sort().map((name) => [name, '1.0']))
}
