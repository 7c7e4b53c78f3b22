/**
 * InferenceReceipt (DESIGN section 8) as EIP-712 data: what was asked, by whom, of which model, what
 * came out, what it costs and whose data shaped it. The provider signs it; ReceiptRegistry checks it.
 * Field order is the contract's struct order.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { encodeAbiParameters, hashTypedData } from 'viem/utils'
import { concatBytes, fromHex, type Hex, keccakHex, toHex, ZERO_ADDRESS } from '../base/bytes.ts'
import { addressOfPublicKey } from '../base/keys.ts'
import type { TypedData } from '../keys/sign.ts'
import { type InferenceReceipt, RECEIPT_TYPES } from './receipt-types.ts'

export { type InferenceReceipt, RECEIPT_TYPES }

export const VOUCHER_TYPES = {
  Voucher: [
    { name: 'payer', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'cumulative', type: 'uint256' },
  ],
} as const

export const SESSION_VOUCHER_TYPES = {
  SessionVoucher: [
    { name: 'payer', type: 'address' },
    { name: 'session', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'cumulative', type: 'uint256' },
  ],
} as const

/** A payer's promise: the provider may have charged up to `cumulative` wei in all. With a session key, which signs in
 * the payer's stead, the promise counts that key's charges alone. */
export type Voucher = {
  readonly payer: Hex
  /** Absent or the zero address: the payer signs itself. */
  readonly session?: Hex
  readonly provider: Hex
  readonly cumulative: bigint
}

export type SigningDomain = { readonly chainId: number; readonly verifyingContract: Hex }

export function receiptHash(receipt: InferenceReceipt, domain: SigningDomain): Hex {
  return hashTypedData(receiptTypedData(receipt, domain))
}

/** What a provider signs. */
export function receiptTypedData(receipt: InferenceReceipt, domain: SigningDomain): TypedData {
  return {
    domain: { name: 'OpenLedger', version: '1', ...domain },
    types: RECEIPT_TYPES,
    primaryType: 'InferenceReceipt',
    message: receipt,
  }
}

export function voucherHash(voucher: Voucher, domain: SigningDomain): Hex {
  return hashTypedData(voucherTypedData(voucher, domain))
}

/** EIP-712 data as `signTypedData` takes it. */
export type VoucherTypedData = {
  readonly domain: SigningDomain & { readonly name: string; readonly version: string }
  readonly types: Readonly<
    Record<string, readonly { readonly name: string; readonly type: string }[]>
  >
  readonly primaryType: string
  readonly message: Readonly<Record<string, unknown>>
}

/** What a payer or its session key signs. */
export function voucherTypedData(voucher: Voucher, signingDomain: SigningDomain): VoucherTypedData {
  const { payer, session = ZERO_ADDRESS, provider, cumulative } = voucher
  const domain = { name: 'OpenLedger', version: '1', ...signingDomain }
  if (session === ZERO_ADDRESS) {
    const message = { payer, provider, cumulative }
    return { domain, types: VOUCHER_TYPES, primaryType: 'Voucher', message }
  }
  const message = { payer, session, provider, cumulative }
  return { domain, types: SESSION_VOUCHER_TYPES, primaryType: 'SessionVoucher', message }
}

/** `parentAction` of a receipt that `payer` paid by x402, as ReputationRegistry.x402Action has it: keccak256(abi.encode(payer, nonce, parent)). */
export function x402Action(payer: Hex, nonce: Hex, parent: Hex): Hex {
  const words = [{ type: 'address' }, { type: 'bytes32' }, { type: 'bytes32' }] as const
  return keccakHex(fromHex(encodeAbiParameters(words, [payer, nonce, parent])))
}

/** 65 bytes r || s || v, v = 27 or 28, as contracts expect. */
export function signHash(hash: Hex, privateKey: Uint8Array): Hex {
  const signature = secp256k1.sign(fromHex(hash), privateKey, {
    prehash: false,
    format: 'recovered',
  })
  return toHex(concatBytes(signature.slice(1), Uint8Array.of(27 + (signature[0] as number))))
}

/** The signer's address, or null when the signature is malformed: s in the upper half as well, which contracts refuse. */
export function recoverSigner(hash: Hex, signature: Hex): Hex | null {
  try {
    const bytes = fromHex(signature)
    const v = bytes[64] ?? 0
    if (bytes.length !== 65 || (v !== 27 && v !== 28)) return null
    const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), 'compact')
    if (parsed.hasHighS()) return null
    const key = parsed.addRecoveryBit(v - 27).recoverPublicKey(fromHex(hash))
    return addressOfPublicKey(key.toBytes(false))
  } catch {
    return null
  }
}
