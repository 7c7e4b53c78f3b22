/** The OpenRPC document (spec.open-rpc.org), made from the method table, so it cannot drift from it. */
import type { JsonObject, RpcMethods } from './method.ts'

export function openRpcDocument(methods: RpcMethods, version: string): JsonObject {
  return {
    openrpc: '1.3.2',
    info: { title: 'OpenLedger JSON-RPC', version },
    methods: Object.entries(methods)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { summary, params, result, example, cost, needsSession }]) => ({
        name,
        summary: needsSession ? `${summary} (WebSocket)` : summary,
        paramStructure: 'either',
        params: params.map((param) => ({
          name: param.name,
          required: param.isRequired,
          schema: param.schema,
        })),
        result: { name: 'result', schema: result },
        'x-cost': cost,
        ...(example
          ? {
              examples: [
                {
                  name: `${name} example`,
                  params: example.params.map((value, i) => ({
                    name: params[i]?.name ?? '',
                    value,
                  })),
                  result: { name: 'result', value: example.result },
                },
              ],
            }
          : {}),
      })),
  }
}
