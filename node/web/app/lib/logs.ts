/** Logs by ranges of blocks: one query is at most `LOG_BLOCKS` long, as the node allows. */
import { call } from './rpc.ts'
import type { Hex, LogJson } from './types.ts'

/** `logBlocksMax` of the node. */
export const LOG_BLOCKS = 10_000

export type LogQuery = {
  readonly address?: string
  readonly topics?: readonly (string | readonly string[] | null)[]
}

/** Those of the range that ends with block `to`, newest first; the head when it is null. */
export async function newestLogs(query: LogQuery, to: number | null = null): Promise<LogJson[]> {
  return (await logsUpTo(to ?? (await headNumber()), query)).reverse()
}

/** Logs since genesis, oldest first. */
export async function allLogs(query: LogQuery): Promise<LogJson[]> {
  const ranges: Promise<LogJson[]>[] = []
  for (let to = await headNumber(); to >= 0; to -= LOG_BLOCKS) ranges.push(logsUpTo(to, query))
  return (await Promise.all(ranges)).reverse().flat()
}

const headNumber = async (): Promise<number> => Number(await call<Hex>('eth_blockNumber'))

function logsUpTo(to: number, query: LogQuery): Promise<LogJson[]> {
  const from = Math.max(0, to - LOG_BLOCKS + 1)
  const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` }
  return call<LogJson[]>('eth_getLogs', { ...query, ...range })
}

/** A topic. */
export const word = (value: bigint | string): Hex =>
  `0x${BigInt(value).toString(16).padStart(64, '0')}`
