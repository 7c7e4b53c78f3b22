/** Logs of the newest blocks: one query is at most `LOG_BLOCKS` long, as the node allows. */
import { call } from './rpc.ts'
import type { LogJson } from './types.ts'

/** `logBlocksMax` of the node. */
export const LOG_BLOCKS = 10_000

export type LogQuery = {
  readonly address?: string
  readonly topics?: readonly (string | readonly string[] | null)[]
}

/** Newest first. `to`: the newest block asked about; the head when it is null. */
export async function newestLogs(query: LogQuery, to: number | null = null): Promise<LogJson[]> {
  const top = to ?? Number(await call<string>('eth_blockNumber'))
  const from = Math.max(0, top - LOG_BLOCKS + 1)
  const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${top.toString(16)}` }
  return (await call<LogJson[]>('eth_getLogs', { ...query, ...range })).reverse()
}
