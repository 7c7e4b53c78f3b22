/** `eth_simulateV1`: blocks of calls on top of a block, answered as blocks. */
import { type Hex, toHex } from '../../base/bytes.ts'
import { gethError } from '../../chain/opcodes.ts'
import {
  type SimulatedBlock,
  type SimulatedResult,
  type SimulatedTx,
  SimulationError,
} from '../../chain/simulation.ts'
import { blockOverrides, call, stateOverrides } from '../call-object.ts'
import type { RpcContext } from '../context.ts'
import { RPC, RpcError } from '../errors.ts'
import { blockObject, logObject, quantity } from '../format.ts'
import { callDeadline } from '../limits.ts'
import { COST, type Json, type JsonObject, method, type RpcMethods } from '../method.ts'
import { block, bool, LATEST, list, optional, required } from '../params.ts'
import { record } from '../record.ts'
import { simulatedBlock } from '../results/ethereum.ts'
import { listOf } from '../results/shape.ts'
import { checked, revertError } from './call.ts'
import { viewAt } from './state.ts'

/** Read before the limit in force is named. */
const BLOCKS_READ_MAX = 10_000
const CALLS_READ_MAX = 100_000
/** What a halted call has for a code. */
const VM_ERROR = -32015

const payload = record(
  'simulation',
  {
    blockStateCalls: list(
      record('block of calls', {
        blockOverrides,
        stateOverrides,
        calls: list(call, CALLS_READ_MAX),
      }),
      BLOCKS_READ_MAX,
    ),
    traceTransfers: bool,
    validation: bool,
    returnFullTransactions: bool,
  },
  { required: ['blockStateCalls'] },
)

export const simulateMethods: RpcMethods = {
  eth_simulateV1: method({
    summary:
      'Runs blocks of calls on top of a block, each on the state of the one before, and drops them',
    params: [required('simulation', payload), optional('block', block, LATEST)],
    result: listOf(simulatedBlock),
    cost: COST.replay,
    handler: async (context, [given, id]) => {
      const { simulateBlocksMax, simulateCallsMax, callGasMax } = context.options
      const blocks = given.blockStateCalls ?? []
      if (blocks.length === 0)
        throw new RpcError(RPC.invalidParams, 'empty input: blockStateCalls names no block')
      if (blocks.length > simulateBlocksMax) {
        throw limitError(`${blocks.length} blocks, at most ${simulateBlocksMax}`)
      }
      const count = blocks.reduce((sum, { calls = [] }) => sum + calls.length, 0)
      if (count > simulateCallsMax) throw limitError(`${count} calls, at most ${simulateCallsMax}`)
      const simulated = await viewAt(context.chain, id, RPC.server)
        .simulate({
          blocks: blocks.map(({ blockOverrides: header, stateOverrides: state, calls = [] }) => ({
            ...(header ? { block: header } : {}),
            ...(state ? { state } : {}),
            calls: calls.map((one) => {
              checked(context, one)
              return one
            }),
          })),
          validation: given.validation ?? false,
          traceTransfers: given.traceTransfers ?? false,
          limits: { gasMax: callGasMax, blocksMax: simulateBlocksMax },
          tick: callDeadline(context),
        })
        .catch((error) => {
          throw error instanceof SimulationError ? new RpcError(error.code, error.message) : error
        })
      return simulated.map((one) => blockOf(context, one, given.returnFullTransactions ?? false))
    },
  }),
}

function limitError(what: string): RpcError {
  return new RpcError(-38026, `too many blocks or calls: ${what}`)
}

function blockOf({ chain }: RpcContext, simulated: SimulatedBlock, full: boolean): JsonObject {
  const { block: made, transactions, results } = simulated
  const chainId = chain.rules.chainId
  return {
    ...blockObject(made, { rules: chain.rules, full: false }),
    transactions: transactions.map((tx, index) =>
      full ? transactionOf({ tx, index, chainId, simulated }) : tx.hash,
    ),
    calls: results.map((result, index) => callOf(simulated, result, index)),
  }
}

function transactionOf(args: {
  tx: SimulatedTx
  index: number
  chainId: number
  simulated: SimulatedBlock
}): Json {
  const { tx, index, chainId } = args
  const { hash, header } = args.simulated.block
  return {
    blockHash: hash,
    blockNumber: quantity(header.number),
    blockTimestamp: quantity(header.timestamp),
    transactionIndex: quantity(index),
    ...unsignedFields(tx, chainId, header.baseFeePerGas ?? 0n),
  }
}

/** Of a transaction nobody signed; named as `format.ts` names those of signed ones. */
function unsignedFields(
  { hash, type, nonce, message }: SimulatedTx,
  chainId: number,
  baseFee: bigint,
): JsonObject {
  const { maxFeePerGas: cap, maxPriorityFeePerGas: tip } = message
  const price = baseFee + tip < cap ? baseFee + tip : cap
  const isTyped = type !== 0
  return {
    type: quantity(type),
    hash,
    from: message.from,
    to: message.to,
    nonce: quantity(nonce),
    gas: quantity(message.gasLimit),
    gasPrice: quantity(price),
    ...(isTyped ? { maxFeePerGas: quantity(cap), maxPriorityFeePerGas: quantity(tip) } : {}),
    value: quantity(message.value),
    input: toHex(message.data),
    ...(isTyped
      ? {
          accessList: (message.accessList ?? []).map((entry) => ({ ...entry })),
          chainId: quantity(chainId),
          yParity: '0x0',
        }
      : {}),
    ...(message.blobVersionedHashes
      ? {
          maxFeePerBlobGas: quantity(message.maxFeePerBlobGas ?? 0n),
          blobVersionedHashes: message.blobVersionedHashes,
        }
      : {}),
    ...(message.authorizationList
      ? { authorizationList: message.authorizationList.map(authorizationObject) }
      : {}),
    v: '0x0',
    r: '0x0',
    s: '0x0',
  }
}

function authorizationObject(
  one: NonNullable<SimulatedTx['message']['authorizationList']>[number],
): JsonObject {
  return {
    chainId: quantity(one.chainId),
    address: one.address,
    nonce: quantity(one.nonce),
    yParity: quantity(one.yParity),
    r: quantity(one.r),
    s: quantity(one.s),
  }
}

function callOf(
  { block: made, transactions }: SimulatedBlock,
  result: SimulatedResult,
  txIndex: number,
): Json {
  const transactionHash = transactions[txIndex]?.hash as Hex
  return {
    returnData: result.error ? '0x' : toHex(result.returnData),
    logs: result.logs.map(({ log, logIndex }) =>
      logObject({ log, block: made, txIndex, transactionHash, logIndex }),
    ),
    gasUsed: quantity(result.gasUsed),
    maxUsedGas: quantity(result.gasPeak),
    status: result.error ? '0x0' : '0x1',
    ...(result.error ? { error: errorOf(result) } : {}),
  }
}

function errorOf({ error, returnData }: SimulatedResult): Json {
  if (error?.kind !== 'revert') {
    return { message: gethError(error?.message ?? 'execution failed'), code: VM_ERROR }
  }
  const { code, message, data } = revertError(returnData)
  return { message, code, data: data ?? '0x' }
}
