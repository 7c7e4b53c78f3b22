/**
 * The two schemes as orders: what a payer signed, who may be paid how much until when, and the call that carries it
 * out. `exact` is EIP-3009 on PayableWOPEN, `upto` Permit2 with a witness, through the proxy that x402 clients sign for.
 * What the contracts refuse with is translated to the reasons of the specification (section 9).
 */
import type { Abi } from 'viem'
import { decodeFunctionData, encodeEventTopics, parseAbi } from 'viem/utils'
import { OP, STANDARD } from '../../genesis/addresses.ts'
import { PayableWOPEN, X402UptoProxy } from '../../genesis/contracts.generated.ts'
import { bytesToBigint, type Hex, toHex } from '../base/bytes.ts'
import type { Log } from '../chain/types.ts'
import type { Contract } from '../model/contracts.ts'
import { exactSchema, faultOf, type Payload, uptoSchema } from './schema.ts'

export const WOPEN: Contract = { address: OP.wopen, abi: PayableWOPEN.abi as Abi }
export const PERMIT2: Contract = {
  address: '0x000000000022d473030f116ddee9f6b43ac78ba3',
  abi: parseAbi(['function nonceBitmap(address owner, uint256 word) view returns (uint256)']),
}
const UPTO_PROXY: Contract = {
  address: STANDARD.x402UptoProxy,
  // Permit2's own errors come through the proxy.
  abi: [
    ...(X402UptoProxy.abi as Abi),
    ...parseAbi([
      'error SignatureExpired(uint256 signatureDeadline)',
      'error InvalidNonce()',
      'error InvalidAmount(uint256 maxAmount)',
      'error InvalidSigner()',
      'error InvalidSignature()',
      'error InvalidSignatureLength()',
      'error InvalidContractSignature()',
    ]),
  ] as Abi,
}

export const SCHEMES = ['exact', 'upto'] as const
export type Scheme = (typeof SCHEMES)[number]

/** A refusal in the words of the specification, and in ours. */
export type Refusal = { readonly reason: string; readonly message: string }

export type Call = {
  readonly contract: Contract
  readonly functionName: string
  readonly args: readonly unknown[]
}

export type Order = {
  readonly scheme: Scheme
  readonly payer: Hex
  readonly payTo: Hex
  readonly asset: Hex
  /** wei: exactly this, or at most this. */
  readonly amount: bigint
  /** Unix seconds, the same that the contract compares with. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  /** 32 bytes. Of two payments with one scheme, payer and nonce only one can be carried out. */
  readonly nonce: Hex
  /** Reads whether it was carried out or cancelled. */
  readonly spent: { readonly call: Call; isSpent(result: unknown): boolean }
  call(amount: bigint): Call
  /** Addresses and topics in the bloom of a block that made it. */
  readonly marks: readonly Hex[]
  /** Whether a transaction with these logs has carried it out, whoever sent it. `upto` logs no nonce: there it takes the input. */
  isMadeIn(logs: readonly Log[], input?: () => Uint8Array): boolean
}

/** The same for two payments of which only one can be carried out, however they are written down. */
export function keyOf({ scheme, payer, nonce }: Order): string {
  return `${scheme} ${payer} ${nonce}`
}

export function orderOf(
  scheme: Scheme,
  payload: Payload['payload'],
  facilitator: Hex,
): Order | Refusal {
  return scheme === 'exact' ? exactOrder(payload) : uptoOrder(payload, facilitator)
}

function exactOrder(payload: Payload['payload']): Order | Refusal {
  const read = exactSchema.safeParse(payload)
  if (!read.success) return { reason: 'invalid_payload', message: faultOf(read.error) }
  const { signature, authorization } = read.data
  const { from, to, value, validAfter, validBefore, nonce } = authorization
  const isLog = (eventName: string, args: object, log?: Log): boolean =>
    log?.address === WOPEN.address &&
    log.topics.join() === encodeEventTopics({ abi: WOPEN.abi, eventName, args }).join()
  return {
    scheme: 'exact',
    payer: from,
    payTo: to,
    asset: WOPEN.address,
    amount: value,
    validAfter,
    validBefore,
    nonce,
    spent: {
      call: { contract: WOPEN, functionName: 'authorizationState', args: [from, nonce] },
      isSpent: (state) => state === true,
    },
    call: () => ({
      contract: WOPEN,
      functionName: 'transferWithAuthorization',
      args: [from, to, value, validAfter, validBefore, nonce, signature],
    }),
    marks: [WOPEN.address, nonce],
    // With one nonce a payer can sign for somebody else as well: it must be this payee, and this much.
    isMadeIn: (logs) =>
      logs.some((log, i) => {
        const moved = logs[i + 1]
        return (
          isLog('AuthorizationUsed', { authorizer: from, nonce }, log) &&
          isLog('Transfer', { from, to }, moved) &&
          bytesToBigint(moved?.data ?? new Uint8Array(0)) === value
        )
      }),
  }
}

function uptoOrder(payload: Payload['payload'], facilitator: Hex): Order | Refusal {
  const read = uptoSchema.safeParse(payload)
  if (!read.success) return { reason: 'invalid_payload', message: faultOf(read.error) }
  const { signature, permit2Authorization: signed } = read.data
  const { permitted, from, spender, nonce, deadline, witness } = signed
  if (spender !== UPTO_PROXY.address) {
    const message = `the permit is for spender ${spender}; ${UPTO_PROXY.address} settles here`
    return { reason: 'invalid_permit2_spender', message }
  }
  if (witness.facilitator !== facilitator) {
    const message = `the payment names facilitator ${witness.facilitator}; this one is ${facilitator}`
    return { reason: 'invalid_upto_evm_payload_facilitator_mismatch', message }
  }
  return {
    scheme: 'upto',
    payer: from,
    payTo: witness.to,
    asset: permitted.token,
    amount: permitted.amount,
    // The proxy takes the second itself; EIP-3009 does not.
    validAfter: witness.validAfter - 1n,
    validBefore: deadline,
    nonce: `0x${nonce.toString(16).padStart(64, '0')}`,
    spent: {
      call: { contract: PERMIT2, functionName: 'nonceBitmap', args: [from, nonce >> 8n] },
      isSpent: (bitmap) => (((bitmap as bigint) >> (nonce & 0xffn)) & 1n) === 1n,
    },
    call: (amount) => ({
      contract: UPTO_PROXY,
      functionName: 'settle',
      args: [{ permitted, nonce, deadline }, amount, from, witness, signature],
    }),
    marks: [UPTO_PROXY.address],
    // The proxy takes it of the facilitator alone, which calls it itself.
    isMadeIn: (logs, input) =>
      logs.some(({ address }) => address === UPTO_PROXY.address) &&
      input !== undefined &&
      isCallFor(input(), { owner: from, nonce }),
  }
}

function isCallFor(input: Uint8Array, payment: { owner: Hex; nonce: bigint }): boolean {
  try {
    const { functionName, args } = decodeFunctionData({ abi: UPTO_PROXY.abi, data: toHex(input) })
    if (functionName !== 'settle') return false
    const [permit, , owner] = args as [{ nonce: bigint }, bigint, Hex]
    return permit.nonce === payment.nonce && owner.toLowerCase() === payment.owner
  } catch {
    // Another call.
    return false
  }
}

const BAD_SIGNATURE = /^(InvalidAuthorizationSignature|InvalidSig|InvalidContractSignature)/

/** @param revert such as `AuthorizationSpent(0x…, 0x…)` */
export function refusalOf(scheme: Scheme, revert: string): Refusal {
  if (BAD_SIGNATURE.test(revert)) {
    const reason = `invalid_${scheme}_evm_payload_signature`
    return { reason, message: 'the payer has not signed this' }
  }
  return { reason: 'invalid_transaction_state', message: `the payment would revert: ${revert}` }
}

export function isRefusal(value: Order | Refusal | null): value is Refusal {
  return value !== null && 'reason' in value
}
