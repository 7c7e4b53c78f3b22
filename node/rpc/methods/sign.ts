/** What wallets do and a node without keys does not: each refusal says what to use instead. And what a wallet
 * would put into a transaction, filled in. */
import { type Hex, toHex } from '../../base/bytes.ts'
import { encodeRlp, integer } from '../../chain/rlp.ts'
import { type CallObject, call } from '../call-object.ts'
import type { RpcContext } from '../context.ts'
import { invalidParams, RPC, RpcError } from '../errors.ts'
import { nextBaseFeeOf, suggestTip } from '../fees.ts'
import { quantity } from '../format.ts'
import { callDeadline } from '../limits.ts'
import { COST, type JsonObject, method, type RpcMethods, type ValueType } from '../method.ts'
import { address, bytes, LATEST, object, required } from '../params.ts'
import { filled } from '../results/ethereum.ts'
import { checked, failureOf } from './call.ts'
import { viewAt } from './state.ts'

const typedData: ValueType<unknown> = { schema: object.schema, parse: (value) => value }

export const signMethods: RpcMethods = {
  eth_sign: refusal('Refused: the node keeps no keys', [
    required('address', address),
    required('message', bytes),
  ]),
  eth_signTransaction: refusal('Refused: the node keeps no keys', [required('transaction', call)]),
  eth_signTypedData_v4: refusal('Refused: the node keeps no keys', [
    required('address', address),
    required('typedData', typedData),
  ]),
  eth_sendTransaction: refusal('Refused: the node keeps no keys', [required('transaction', call)]),
  eth_fillTransaction: method({
    summary: 'Nonce, gas limit, fees and chain id a transaction still needs, and its bytes to sign',
    params: [required('transaction', call)],
    result: filled,
    cost: COST.run,
    // The nonce counts what waits in the pool.
    aside: false,
    handler: (context, [request]) => fill(context, request),
  }),
}

function refusal(summary: string, params: Parameters<typeof method>[0]['params']) {
  return method({
    summary,
    params,
    result: { type: 'null' },
    handler: () => {
      const message =
        'this node keeps no keys and signs nothing: sign in your wallet and use eth_sendRawTransaction'
      throw new RpcError(RPC.server, message)
    },
  })
}

/** EIP-1559 unless a gas price is named. */
async function fill(context: RpcContext, request: CallObject): Promise<JsonObject> {
  const { chain, pool, options } = context
  const { from, to = null, value = 0n, data = new Uint8Array(0), accessList = [] } = request
  if (!from) throw invalidParams('argument 0 (transaction): .from is needed: whose nonce is it')
  if (request.authorizationList || request.blobVersionedHashes) {
    throw invalidParams('only transactions of types 0 and 2 are filled in')
  }
  const within = checked(context, request, false)
  const view = viewAt(chain, LATEST)
  const nonce = request.nonce ?? pool?.pendingNonce(from) ?? view.account(from)?.nonce ?? 0n
  const gas = request.gas ?? (await estimate(context, within))
  const chainId = BigInt(chain.rules.chainId)
  const target = to === null ? new Uint8Array(0) : Buffer.from(to.slice(2), 'hex')
  const shown = {
    from,
    to,
    nonce: quantity(nonce),
    gas: quantity(gas),
    value: quantity(value),
    input: toHex(data),
  }
  if (request.gasPrice !== undefined) {
    const price = request.gasPrice
    // EIP-155: what is signed ends with the chain id and two zeros.
    const raw = encodeRlp([
      integer(nonce),
      integer(price),
      integer(gas),
      target,
      integer(value),
      data,
      integer(chainId),
      integer(0n),
      integer(0n),
    ])
    const tx = { ...shown, type: '0x0', gasPrice: quantity(price), chainId: quantity(chainId) }
    return { raw: toHex(raw), tx }
  }
  const tip = request.maxPriorityFeePerGas ?? suggestTip(chain, options)
  const cap = request.maxFeePerGas ?? nextBaseFeeOf(chain) * 2n + tip
  const list = accessList.map(({ address: at, storageKeys }) => [
    Buffer.from(at.slice(2), 'hex'),
    storageKeys.map((key) => Buffer.from(key.slice(2), 'hex')),
  ])
  const body = encodeRlp([
    integer(chainId),
    integer(nonce),
    integer(tip),
    integer(cap),
    integer(gas),
    target,
    integer(value),
    data,
    list,
  ])
  const raw: Hex = `0x02${toHex(body).slice(2)}`
  const fees = { maxFeePerGas: quantity(cap), maxPriorityFeePerGas: quantity(tip) }
  const tx = {
    ...shown,
    ...fees,
    type: '0x2',
    chainId: quantity(chainId),
    accessList: accessList.map((entry) => ({ ...entry })),
  }
  return { raw, tx }
}

async function estimate(context: RpcContext, request: CallObject): Promise<bigint> {
  const found = await viewAt(context.chain, LATEST).estimateGas(request, {
    tick: callDeadline(context),
  })
  if (found.kind === 'failed') throw failureOf(found.result, found.allowance)
  return found.gas
}
