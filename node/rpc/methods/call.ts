/** Calls that change nothing, the gas they would need, and the accounts they touch. */
import { toHex } from '../../base/bytes.ts'
import type { CallOptions, CallResult } from '../../chain/call.ts'
import { revertReason } from '../../chain/revert.ts'
import { encodeRlp, integer } from '../../chain/rlp.ts'
import type { StateView } from '../../chain/state-view.ts'
import { type CallObject, call, callBlockOverrides, stateOverrides } from '../call-object.ts'
import type { RpcContext } from '../context.ts'
import { invalidParams, RPC, RpcError, txErrorOf } from '../errors.ts'
import { quantity } from '../format.ts'
import { callDeadline } from '../limits.ts'
import { COST, method, type RpcMethods } from '../method.ts'
import { block, LATEST, optional, required, schemas } from '../params.ts'
import { createdAccessList } from '../results/ethereum.ts'
import { viewAt } from './state.ts'

/** Rounds until an access list no longer changes the run; nearly always one is enough. */
const ACCESS_LIST_ROUNDS_MAX = 8
const BLOB_TYPE = 3
/** r and s do not compress. */
const SIGNATURE_BYTES = 64

const overrides = [
  optional('stateOverrides', stateOverrides, undefined),
  optional('blockOverrides', callBlockOverrides, undefined),
] as const

export const callMethods: RpcMethods = {
  eth_call: method({
    summary: 'Runs a message call on the state after a block and drops it',
    params: [required('transaction', call), optional('block', block, LATEST), ...overrides],
    result: schemas.data,
    cost: COST.run,
    example: {
      params: [{ to: '0x4200000000000000000000000000000000000015', data: '0x8381f58a' }, 'latest'],
      result: '0x000000000000000000000000000000000000000000000000000000000000002a',
    },
    handler: async (context, [request, id, state, blockOf]) => {
      const view = viewAt(context.chain, id)
      const options = optionsOf(context, state, blockOf)
      const result = await view.call(checked(context, request), options)
      if (result.error) throw failureOf(result)
      return toHex(result.returnData)
    },
  }),
  eth_estimateGas: method({
    summary: 'The gas limit a transaction needs; the L1 data fee is paid beside it',
    params: [required('transaction', call), optional('block', block, LATEST), ...overrides],
    result: schemas.quantity,
    cost: COST.run,
    example: {
      params: [
        {
          from: '0x00000000000000000000000000000000000000aa',
          to: '0x00000000000000000000000000000000000000bb',
          value: '0x1',
        },
      ],
      result: '0x5208',
    },
    handler: async (context, [request, id, state, blockOf]) => {
      const view = viewAt(context.chain, id)
      const estimate = await view.estimateGas(checked(context, request, false), {
        ...optionsOf(context, state, blockOf),
        l1Fee: view.l1Fee(bytesOf(request)),
      })
      if (estimate.kind === 'failed') throw failureOf(estimate.result, estimate.allowance)
      return quantity(estimate.gas)
    },
  }),
  eth_createAccessList: method({
    summary: 'The access list (EIP-2930) of a transaction, and the gas it uses with it',
    params: [
      required('transaction', call),
      optional('block', block, LATEST),
      optional('stateOverrides', stateOverrides, undefined),
    ],
    result: createdAccessList,
    cost: COST.run,
    handler: async (context, [request, id, state]) => {
      const view = viewAt(context.chain, id)
      const options = optionsOf(context, state, undefined)
      const within = checked(context, request)
      const result = await stableAccessList(view, within, options)
      if (result.error?.kind === 'refused') throw failureOf(result)
      return {
        accessList: result.accessList.map((entry) => ({ ...entry })),
        gasUsed: quantity(result.gasUsed),
        ...(result.error ? { error: failureOf(result).message } : {}),
      }
    },
  }),
}

async function stableAccessList(
  view: StateView,
  request: CallObject,
  options: CallOptions,
): Promise<CallResult> {
  let result = await view.call(request, options)
  for (let round = 1; round < ACCESS_LIST_ROUNDS_MAX; round++) {
    const { accessList } = result
    const next = await view.call({ ...request, accessList }, options)
    if (next.error?.kind === 'refused') return result
    const isStable = JSON.stringify(next.accessList) === JSON.stringify(accessList)
    result = next
    if (isStable) break
  }
  return result
}

function optionsOf(
  context: RpcContext,
  state: CallOptions['state'],
  blockOf: CallOptions['block'],
): CallOptions {
  return {
    ...(state ? { state } : {}),
    ...(blockOf ? { block: blockOf } : {}),
    tick: callDeadline(context),
  }
}

/** For this chain, and within the gas one call may use; with `fill`, that much when none is named. */
export function checked(
  { chain, options }: RpcContext,
  request: CallObject,
  fill = true,
): CallObject {
  const own = BigInt(chain.rules.chainId)
  if (request.chainId !== undefined && request.chainId !== own) {
    throw invalidParams(`chainId ${request.chainId} is not this chain's, ${own}`)
  }
  const { txTypes } = chain.rules.at(chain.head('unsafe'))
  if (request.blobVersionedHashes && !txTypes.has(BLOB_TYPE)) {
    throw invalidParams('blob transactions (type 3) are not accepted on L2')
  }
  const { callGasMax } = options
  const { gas } = request
  return (gas === undefined && !fill) || (gas !== undefined && gas <= callGasMax)
    ? request
    : { ...request, gas: callGasMax }
}

/** About the bytes it will be signed as: the price of L1 data hangs on their number. */
function bytesOf({
  to,
  value = 0n,
  data = new Uint8Array(0),
  gas = 0n,
  nonce = 0n,
}: CallObject): Uint8Array {
  const signature = Uint8Array.from({ length: SIGNATURE_BYTES }, (_, i) => i * 37 + 11)
  const fee = integer(1_000_000_000n)
  return encodeRlp([
    integer(2n ** 32n),
    integer(nonce),
    fee,
    fee,
    integer(gas || 21_000n),
    to ? Buffer.from(to.slice(2), 'hex') : new Uint8Array(0),
    integer(value),
    data,
    [],
    integer(0n),
    signature,
  ])
}

/** `allowance`: the gas the caller could pay for, when that was the limit. */
export function failureOf(result: CallResult, allowance?: bigint): RpcError {
  const { error, returnData } = result
  const message = error?.message ?? 'execution failed'
  if (error?.kind === 'revert') return revertError(returnData)
  const isShort = message.startsWith('out of gas') || error?.code === 'intrinsic-gas'
  if (allowance !== undefined && isShort) {
    return new RpcError(RPC.server, `gas required exceeds allowance (${allowance}): ${message}`)
  }
  if (error?.code) return txErrorOf({ code: error.code, message })
  return new RpcError(RPC.server, message)
}

export function revertError(returnData: Uint8Array): RpcError {
  const reason = revertReason(returnData)
  const message = reason === null ? 'execution reverted' : `execution reverted: ${reason}`
  return new RpcError(RPC.revert, message, toHex(returnData))
}
