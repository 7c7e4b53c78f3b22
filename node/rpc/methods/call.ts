/** Calls that change nothing, and the gas they would need. */
import { toHex } from '../../base/bytes.ts'
import type { CallRequest, CallResult } from '../../chain/call.ts'
import type { StateView } from '../../chain/state-view.ts'
import type { RpcContext } from '../context.ts'
import { invalidParams, RPC, RpcError } from '../errors.ts'
import { quantity, revertReason } from '../format.ts'
import { method, type RpcMethods, type ValueType } from '../method.ts'
import {
  BadValue,
  block,
  type CallObject,
  call,
  LATEST,
  object,
  optional,
  required,
  schemas,
} from '../params.ts'
import { viewAt } from './state.ts'

/** EIP-7702: gas of each authorization when its account may be empty. */
const AUTHORIZATION_GAS = 25_000n
/** Rounds until an access list no longer changes the run; nearly always one is enough. */
const ACCESS_LIST_ROUNDS_MAX = 8

/** Overrides are not there yet, and ignoring them would give a wrong answer. */
const noOverrides: ValueType<null> = {
  schema: { type: 'object', maxProperties: 0 },
  parse: (value) => {
    if (Object.keys(object.parse(value)).length) {
      throw new BadValue('overrides are not supported by this node')
    }
    return null
  },
}

const overrides = [
  optional('stateOverrides', noOverrides, null),
  optional('blockOverrides', noOverrides, null),
] as const

export const callMethods: RpcMethods = {
  eth_call: method({
    summary: 'Runs a message call on the state after a block and drops it',
    params: [required('transaction', call), optional('block', block, LATEST), ...overrides],
    result: schemas.data,
    handler: async (context, [request, id]) => {
      refuseAuthorizations(request)
      const result = await viewAt(context.chain, id).call(checked(context, request))
      if (result.error) throw failureOf(result)
      return toHex(result.returnData)
    },
  }),
  eth_estimateGas: method({
    summary: 'The gas limit a transaction needs',
    params: [required('transaction', call), optional('block', block, LATEST), ...overrides],
    result: schemas.quantity,
    handler: async (context, [request, id]) => {
      const view = viewAt(context.chain, id)
      const allowed = withAllowance(view, checked(context, request))
      const estimate = await view.estimateGas(allowed)
      if (estimate.kind === 'failed') throw failureOf(estimate.result, allowed.gas)
      return quantity(estimate.gas + AUTHORIZATION_GAS * BigInt(request.authorizations))
    },
  }),
  eth_createAccessList: method({
    summary: 'The access list (EIP-2930) of a transaction, and the gas it uses with it',
    params: [required('transaction', call), optional('block', block, LATEST)],
    result: schemas.object,
    handler: async (context, [request, id]) => {
      refuseAuthorizations(request)
      const view = viewAt(context.chain, id)
      const within = checked(context, request)
      let result = await view.call(within)
      for (let round = 1; round < ACCESS_LIST_ROUNDS_MAX; round++) {
        const { accessList } = result
        const next = await view.call({ ...within, accessList })
        const isStable = JSON.stringify(next.accessList) === JSON.stringify(accessList)
        result = next
        if (isStable) break
      }
      return {
        accessList: result.accessList.map((entry) => ({ ...entry })),
        gasUsed: quantity(result.gasUsed),
        ...(result.error ? { error: failureOf(result).message } : {}),
      }
    },
  }),
}

/** For this chain, and within the gas one call may use. */
function checked({ chain, options }: RpcContext, request: CallObject): CallObject {
  const own = BigInt(chain.rules.chainId)
  if (request.chainId !== undefined && request.chainId !== own) {
    throw invalidParams(`chainId ${request.chainId} is not this chain's, ${own}`)
  }
  const { callGasMax } = options
  const isWithin = request.gas !== undefined && request.gas <= callGasMax
  return isWithin ? request : { ...request, gas: callGasMax }
}

/** Their code would have to be in place before the call. */
function refuseAuthorizations({ authorizations }: CallObject): void {
  if (authorizations) {
    throw invalidParams('authorizationList is not supported in calls: send the transaction first')
  }
}

/** With a gas price, no more gas than the sender can pay beside the value. */
function withAllowance(view: StateView, request: CallObject): CallRequest {
  if (!request.from || !request.gasPrice) return request
  const balance = view.account(request.from)?.balance ?? 0n
  const value = request.value ?? 0n
  if (balance < value) {
    const message = `insufficient funds: have ${balance} wei, want ${value} wei for the value alone`
    throw new RpcError(RPC.server, message)
  }
  const allowance = (balance - value) / request.gasPrice
  return request.gas !== undefined && request.gas <= allowance
    ? request
    : { ...request, gas: allowance }
}

/** `allowance`: the gas the caller could pay for, when that was the limit. */
function failureOf(result: CallResult, allowance?: bigint): RpcError {
  const { error, returnData } = result
  if (error?.kind === 'revert') {
    const reason = revertReason(returnData)
    const message = reason === null ? 'execution reverted' : `execution reverted: ${reason}`
    return new RpcError(RPC.revert, message, toHex(returnData))
  }
  const message = error?.message ?? 'execution failed'
  if (allowance !== undefined && message.startsWith('out of gas')) {
    return new RpcError(RPC.server, `gas required exceeds allowance (${allowance}): ${message}`)
  }
  return new RpcError(RPC.server, message)
}
