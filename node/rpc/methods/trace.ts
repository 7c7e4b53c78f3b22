/** debug_trace*: transactions and calls run again with a tracer that listens (node/trace). */
import { decodeEthereumBlock } from '../../chain/block.ts'
import type { BlockOverrides, StateOverrides } from '../../chain/overrides.ts'
import { RlpError } from '../../chain/rlp.ts'
import type { WorldState } from '../../chain/state.ts'
import type { EthereumBlock } from '../../chain/types.ts'
import { createTracer } from '../../trace/index.ts'
import { stateBefore, type TxTrace, traceBlock, traceCall } from '../../trace/replay.ts'
import { type Budget, type Tracer, TracerConfigError } from '../../trace/tracer.ts'
import { mustFindBlock } from '../blocks.ts'
import { call, callBlockOverrides, stateOverrides } from '../call-object.ts'
import type { RpcContext } from '../context.ts'
import { invalidParams, RPC, RpcError } from '../errors.ts'
import { deadline } from '../limits.ts'
import {
  COST,
  type Json,
  type JsonObject,
  method,
  type RpcMethods,
  type ValueType,
} from '../method.ts'
import {
  bad,
  block,
  blockNumber,
  bytes,
  hash,
  index,
  LATEST,
  optional,
  required,
} from '../params.ts'
import { blockTrace, trace } from '../results/trace.ts'
import { checked, failureOf } from './call.ts'

type TraceConfig = {
  readonly tracer: string | undefined
  /** Of the named tracer, or the whole object for structLogs. */
  readonly config: unknown
  readonly timeoutMs: number | undefined
}

type TraceCallConfig = TraceConfig & {
  readonly state: StateOverrides | undefined
  readonly block: BlockOverrides | undefined
  readonly txIndex: number | undefined
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
}

const traceConfig: ValueType<TraceConfig> = {
  schema: {
    type: 'object',
    title: 'trace configuration',
    properties: {
      tracer: { type: 'string' },
      tracerConfig: { type: 'object' },
      timeout: { type: 'string', description: 'such as 5s or 500ms' },
      enableMemory: { type: 'boolean' },
      disableStack: { type: 'boolean' },
      disableStorage: { type: 'boolean' },
      enableReturnData: { type: 'boolean' },
      limit: { type: 'integer' },
    },
  },
  parse: (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw bad('an object', value)
    const own = (name: string): unknown =>
      Object.hasOwn(value, name)
        ? ((value as Record<string, unknown>)[name] ?? undefined)
        : undefined
    const tracer = own('tracer')
    if (tracer !== undefined && typeof tracer !== 'string')
      throw bad('.tracer, the name of one', tracer)
    return {
      tracer: tracer === '' ? undefined : tracer,
      config: tracer ? own('tracerConfig') : value,
      timeoutMs: timeoutOf(own('timeout')),
    }
  },
}

const traceCallConfig: ValueType<TraceCallConfig> = {
  schema: {
    ...traceConfig.schema,
    properties: {
      ...(traceConfig.schema.properties as JsonObject),
      stateOverrides: stateOverrides.schema,
      blockOverrides: callBlockOverrides.schema,
      txIndex: index.schema,
    },
  },
  parse: (value) => {
    const base = traceConfig.parse(value)
    const own = <T>(name: string, type: ValueType<T>): T | undefined => {
      const field = Object.hasOwn(value as object, name)
        ? (value as Record<string, unknown>)[name]
        : null
      return field === undefined || field === null ? undefined : type.parse(field)
    }
    return {
      ...base,
      state: own('stateOverrides', stateOverrides),
      block: own('blockOverrides', callBlockOverrides),
      txIndex: own('txIndex', index),
    }
  },
}

const NO_CONFIG: TraceConfig = { tracer: undefined, config: undefined, timeoutMs: undefined }
const NO_CALL_CONFIG: TraceCallConfig = {
  ...NO_CONFIG,
  state: undefined,
  block: undefined,
  txIndex: undefined,
}
const config = optional('config', traceConfig, NO_CONFIG)

export const traceMethods: RpcMethods = {
  debug_traceTransaction: method({
    summary: 'Runs a mined transaction again under a tracer',
    params: [required('transactionHash', hash), config],
    result: trace,
    cost: COST.replay,
    handler: async (context, [txHash, given]) => {
      const place = context.chain.transaction(txHash)
      if (!place) throw new RpcError(RPC.server, `transaction not found: ${txHash} is in no block`)
      const [trace] = await tracesOf(context, place.block, given, place.index)
      return trace?.result ?? null
    },
  }),
  debug_traceBlockByNumber: method({
    summary: 'Runs a block again, each transaction under a tracer of its own',
    params: [required('block', blockNumber), config],
    result: blockTrace,
    cost: COST.replay,
    handler: async (context, [id, given]) => {
      const found = mustFindBlock(context.chain, id, RPC.server)
      return (await tracesOf(context, found, given)).map(shown)
    },
  }),
  debug_traceBlockByHash: method({
    summary: 'Runs a block again, each transaction under a tracer of its own',
    params: [required('blockHash', hash), config],
    result: blockTrace,
    cost: COST.replay,
    handler: async (context, [blockHash, given]) => {
      const found = context.chain.blockByHash(blockHash)
      if (!found) throw new RpcError(RPC.server, `block ${blockHash} not found`)
      return (await tracesOf(context, found, given)).map(shown)
    },
  }),
  debug_traceBlock: method({
    summary: 'Runs a block given as RLP on its parent, each transaction under a tracer of its own',
    params: [required('blockRlp', bytes), config],
    result: blockTrace,
    cost: COST.replay,
    handler: async (context, [rlp, given]) => {
      const decoded = decodedBlock(rlp)
      const { parentHash } = decoded.header
      if (!context.chain.blockByHash(parentHash)) {
        throw new RpcError(
          RPC.server,
          `parent ${parentHash} not found: the block stands on nothing known`,
        )
      }
      return (await tracesOf(context, decoded, given)).map(shown)
    },
  }),
  debug_traceCall: method({
    summary:
      'Runs a message call on the state after a block, or before its transaction txIndex, under a tracer',
    params: [
      required('transaction', call),
      optional('block', block, LATEST),
      optional('config', traceCallConfig, NO_CALL_CONFIG),
    ],
    result: trace,
    cost: COST.replay,
    handler: async (context, [request, id, given]) => {
      if (id.kind === 'tag' && id.tag === 'pending') {
        throw new RpcError(
          RPC.server,
          'tracing on top of pending is not supported: use latest with overrides',
        )
      }
      const found = mustFindBlock(context.chain, id, RPC.server)
      const tick = timeLimit(context, given)
      const { txIndex } = given
      const start = txIndex === undefined ? null : await within(context, { found, txIndex, tick })
      const { call: done, result } = await reported(() =>
        traceCall(context.chain.stateAt(found.header), checked(context, request), {
          tracer: tracerOf(context, given)(),
          tick,
          ...(given.state ? { state: given.state } : {}),
          ...(given.block ? { block: given.block } : {}),
          ...(start ? { start } : {}),
        }),
      )
      if (done.error?.kind === 'refused') throw failureOf(done)
      return result
    },
  }),
}

async function tracesOf(
  context: RpcContext,
  found: EthereumBlock,
  given: TraceConfig,
  only: number | null = null,
): Promise<TxTrace[]> {
  const { chain } = context
  if (found.header.number === chain.genesis.header.number) {
    throw new RpcError(RPC.server, 'genesis is not traceable: it has no parent')
  }
  const tick = timeLimit(context, given)
  const target = {
    rules: chain.rules,
    block: found,
    replay: chain.replay.bind(chain),
    tick,
  }
  return reported(() => traceBlock(target, tracerOf(context, given), only))
}

/** The state in front of a block's transaction, as geth has it. */
async function within(
  { chain }: RpcContext,
  args: { found: EthereumBlock; txIndex: number; tick: () => void },
): Promise<WorldState> {
  const { found, txIndex, tick } = args
  if (found.header.number === chain.genesis.header.number) {
    throw new RpcError(RPC.server, 'no transaction in genesis: leave out txIndex')
  }
  const state = await stateBefore({ block: found, replay: chain.replay.bind(chain), tick }, txIndex)
  if (state) return state
  const { length } = found.transactions
  throw new RpcError(
    RPC.server,
    `transaction index ${txIndex} out of range for block ${found.hash}: it has ${length}, counted from 0`,
  )
}

/** Makes tracers that share the request's budget. */
function tracerOf({ options }: RpcContext, { tracer, config: inner }: TraceConfig): () => Tracer {
  let bytesLeft = options.traceBytesMax
  const budget: Budget = (count) => {
    bytesLeft -= count
    if (bytesLeft >= 0) return
    throw new RpcError(
      RPC.limitExceeded,
      `the trace is larger than ${options.traceBytesMax} bytes (traceBytesMax): trace one transaction, use callTracer, or set disableStack and limit`,
      { limit: 'traceBytesMax', bytes: options.traceBytesMax },
    )
  }
  return () => createTracer(tracer, inner, budget)
}

function timeLimit(context: RpcContext, { timeoutMs }: TraceConfig): () => void {
  const { traceTimeoutMs } = context.options
  return deadline(context, Math.min(timeoutMs ?? traceTimeoutMs, traceTimeoutMs), 'traceTimeoutMs')
}

/** A configuration that cannot be understood is the caller's. */
async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TracerConfigError)
      throw invalidParams(`invalid trace configuration: ${error.message}`)
    throw error
  }
}

function shown({ txHash, result }: TxTrace): Json {
  return { txHash, result }
}

/** Go's notation, as geth takes it. */
function timeoutOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const parts =
    typeof value === 'string' && value.length < 40
      ? [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
      : []
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== value) {
    throw bad('.timeout such as 5s or 500ms', value)
  }
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS_MS[unit as string] ?? 0),
    0,
  )
}

function decodedBlock(rlp: Uint8Array): EthereumBlock {
  try {
    return decodeEthereumBlock(rlp)
  } catch (error) {
    if (error instanceof RlpError)
      throw invalidParams(`invalid argument 0 (blockRlp): ${error.message}`)
    throw error
  }
}
