/**
 * Finding logs: by address and topics, over one block or a range. A block whose bloom filter rules the
 * query out is not opened. Queries are bounded in blocks and results, and the error names a range
 * that works.
 */
import { setImmediate } from 'node:timers/promises'
import { fromHex, type Hex } from '../base/bytes.ts'
import { bloomMayContain } from '../chain/bloom.ts'
import type { EthereumBlock as Block, Log, Receipt } from '../chain/types.ts'
import { findBlock, mustFindBlock, receiptsOf } from './blocks.ts'
import type { RpcChain } from './context.ts'
import { invalidParams, RPC, RpcError } from './errors.ts'
import { logObject, quantity } from './format.ts'
import type { JsonObject, ValueType } from './method.ts'
import type { RpcOptions } from './options.ts'
import {
  address,
  BadValue,
  type BlockId,
  bad,
  blockNumber,
  hash,
  inside,
  LATEST,
  list,
  object,
} from './params.ts'

/** Blocks looked at before other work gets a turn. */
const BLOCKS_PER_TURN = 200
const TOPICS_MAX = 4

export type LogQuery = {
  /** Empty: any. */
  readonly addresses: ReadonlySet<Hex>
  /** By position; null: any. */
  readonly topics: readonly (ReadonlySet<Hex> | null)[]
}

type LogRange =
  | { readonly kind: 'block'; readonly hash: Hex }
  | { readonly kind: 'range'; readonly from: BlockId; readonly to: BlockId }

export type LogFilter = { readonly query: LogQuery; readonly range: LogRange }

type Limits = Pick<RpcOptions, 'logAddressesMax' | 'logTopicsMax'>

export function logFilterType(limits: Limits): ValueType<LogFilter> {
  return {
    schema: { type: 'object', title: 'log filter' },
    parse: (value) => {
      const f = object.parse(value)
      const own = (name: string): unknown =>
        Object.hasOwn(f, name) ? (f[name] ?? undefined) : undefined
      return {
        query: {
          addresses: inside('.address', () => addressesOf(own('address'), limits)),
          topics: inside('.topics', () => topicsOf(own('topics'), limits)),
        },
        range: rangeOf(own('blockHash'), own('fromBlock'), own('toBlock')),
      }
    },
  }
}

function addressesOf(value: unknown, limits: Limits): ReadonlySet<Hex> {
  if (value === undefined) return new Set()
  if (!Array.isArray(value)) return new Set([address.parse(value)])
  return new Set(list(address, limits.logAddressesMax).parse(value))
}

function topicsOf(value: unknown, limits: Limits): (ReadonlySet<Hex> | null)[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw bad('a list of topics', value)
  if (value.length > TOPICS_MAX)
    throw new BadValue(`${value.length} positions, at most ${TOPICS_MAX}`)
  return value.map((entry, i) =>
    inside(`[${i}]`, () => {
      if (entry === null) return null
      if (!Array.isArray(entry)) return new Set([hash.parse(entry)])
      // null or nothing among the alternatives: any topic will do.
      if (entry.length === 0 || entry.includes(null)) return null
      return new Set(list(hash, limits.logTopicsMax).parse(entry))
    }),
  )
}

function rangeOf(blockHash: unknown, from: unknown, to: unknown): LogRange {
  if (blockHash !== undefined) {
    if (from !== undefined || to !== undefined) {
      throw new BadValue('cannot specify both blockHash and fromBlock/toBlock, choose one')
    }
    return { kind: 'block', hash: inside('.blockHash', () => hash.parse(blockHash)) }
  }
  return {
    kind: 'range',
    from: from === undefined ? LATEST : inside('.fromBlock', () => blockNumber.parse(from)),
    to: to === undefined ? LATEST : inside('.toBlock', () => blockNumber.parse(to)),
  }
}

function logMatches(log: Log, { addresses, topics }: LogQuery): boolean {
  if (addresses.size && !addresses.has(log.address)) return false
  return topics.every((wanted, i) => {
    const topic = log.topics[i]
    return topic !== undefined && (!wanted || wanted.has(topic))
  })
}

function bloomMayMatch(bloom: Uint8Array, { addresses, topics }: LogQuery): boolean {
  const anyOf = (set: ReadonlySet<Hex>): boolean =>
    [...set].some((item) => bloomMayContain(bloom, fromHex(item)))
  if (addresses.size && !anyOf(addresses)) return false
  return topics.every((wanted) => !wanted || anyOf(wanted))
}

/** The logs of one block that match, as JSON-RPC objects. */
export function logsIn(
  block: Block,
  receipts: readonly Receipt[],
  query: LogQuery,
  removed = false,
): JsonObject[] {
  const found: JsonObject[] = []
  let logIndex = 0
  for (const [txIndex, { logs, transactionHash }] of receipts.entries()) {
    for (const log of logs) {
      if (logMatches(log, query)) {
        found.push(logObject({ log, block, txIndex, transactionHash, logIndex, removed }))
      }
      logIndex++
    }
  }
  return found
}

export function logsOfBlock(
  chain: RpcChain,
  block: Block,
  query: LogQuery,
  removed = false,
): JsonObject[] {
  if (!bloomMayMatch(block.header.logsBloom, query)) return []
  return logsIn(block, receiptsOf(chain, block), query, removed)
}

/** @throws RpcError when the range is not one, or the answer would be too large. */
export async function findLogs(
  chain: RpcChain,
  { query, range }: LogFilter,
  limits: Pick<RpcOptions, 'logBlocksMax' | 'logResultsMax'>,
): Promise<JsonObject[]> {
  if (range.kind === 'block') {
    const block = mustFindBlock(chain, { kind: 'hash', hash: range.hash, requireCanonical: false })
    return logsOfBlock(chain, block, query)
  }
  const head = chain.headRef('unsafe').number
  const numberOf = (id: BlockId): bigint =>
    id.kind === 'number' ? id.number : (findBlock(chain, id)?.header.number ?? head)
  const [from, to] = [numberOf(range.from), numberOf(range.to)]
  if (from > to)
    throw invalidParams(`invalid block range: fromBlock ${from} is above toBlock ${to}`)
  if (to > head) {
    throw invalidParams(
      `block range extends beyond current head block: toBlock ${to}, head ${head}`,
    )
  }
  const blocks = to - from + 1n
  if (blocks > BigInt(limits.logBlocksMax)) {
    throw limitError(
      `the range has ${blocks} blocks, at most ${limits.logBlocksMax}`,
      from,
      from + BigInt(limits.logBlocksMax) - 1n,
    )
  }
  const found: JsonObject[] = []
  for (let number = from; number <= to; number++) {
    const block = chain.blockByNumber(number)
    // Unwound while we were looking.
    if (!block) break
    const logs = logsOfBlock(chain, block, query)
    if (found.length + logs.length > limits.logResultsMax && found.length > 0) {
      throw limitError(`more than ${limits.logResultsMax} results`, from, number - 1n)
    }
    found.push(...logs)
    if ((number - from + 1n) % BigInt(BLOCKS_PER_TURN) === 0n) await setImmediate()
  }
  return found
}

function limitError(what: string, from: bigint, to: bigint): RpcError {
  return new RpcError(
    RPC.limitExceeded,
    `query exceeds the limit: ${what}; this range works: [${quantity(from)}, ${quantity(to)}]`,
    { fromBlock: quantity(from), toBlock: quantity(to) },
  )
}
