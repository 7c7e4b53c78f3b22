/** Logs, and filters for clients that poll. */
import type { Hex } from '../../base/bytes.ts'
import { findLogs, logFilterType } from '../logs.ts'
import { COST, method, type RpcMethods, type ValueType } from '../method.ts'
import type { RpcOptions } from '../options.ts'
import { bad, required, schemas } from '../params.ts'
import { filterChanges, log } from '../results/ethereum.ts'
import { listOf } from '../results/shape.ts'

export const filterId: ValueType<Hex> = {
  schema: { type: 'string', pattern: '^0x[0-9a-f]{1,64}$' },
  parse: (value) => {
    if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw bad('an id', value)
    return value.toLowerCase() as Hex
  },
}

export function logMethods(options: RpcOptions): RpcMethods {
  const filter = logFilterType(options)
  return {
    eth_getLogs: method({
      summary: 'Logs by address, topics and block range or hash',
      params: [required('filter', filter)],
      result: listOf(log),
      cost: COST.scan,
      handler: ({ chain, options }, [wanted]) => findLogs(chain, wanted, options),
    }),
    eth_newFilter: method({
      summary: 'Makes a log filter to poll; it ends when idle',
      params: [required('filter', filter)],
      result: filterId.schema,
      handler: ({ filters }, [wanted]) => filters.addLogs(wanted),
    }),
    eth_newBlockFilter: method({
      summary: 'Makes a filter of new block hashes to poll',
      params: [],
      result: filterId.schema,
      handler: ({ filters }) => filters.addBlocks(),
    }),
    eth_newPendingTransactionFilter: method({
      summary: 'Makes a filter of pending transaction hashes to poll',
      params: [],
      result: filterId.schema,
      handler: ({ filters }) => filters.addPending(),
    }),
    eth_getFilterChanges: method({
      summary: 'What a filter has found since the last poll',
      params: [required('filterId', filterId)],
      result: filterChanges,
      handler: ({ filters }, [id]) => filters.changes(id),
    }),
    eth_getFilterLogs: method({
      summary: 'All logs of a log filter',
      params: [required('filterId', filterId)],
      result: listOf(log),
      cost: COST.scan,
      // Filters live where they were made.
      aside: false,
      handler: ({ chain, filters, options }, [id]) =>
        findLogs(chain, filters.logFilter(id), options),
    }),
    eth_uninstallFilter: method({
      summary: 'Ends a filter; false when there is none',
      params: [required('filterId', filterId)],
      result: schemas.boolean,
      handler: ({ filters }, [id]) => filters.remove(id),
    }),
  }
}
