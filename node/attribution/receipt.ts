/**
 * InferenceReceipt (DESIGN section 8) as EIP-712 data: what was asked, by whom, of which model, what
 * came out, what it costs and whose data shaped it. The provider signs it; ReceiptRegistry checks it.
 * Field order is the contract's struct order.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hashTypedData } from 'viem'
import { concatBytes, fromHex, type Hex, toHex } from '../base/bytes.ts'
import { addressOfPublicKey } from '../base/keys.ts'
import { type InferenceReceipt, RECEIPT_TYPES } from './receipt-types.ts'

export { type InferenceReceipt, RECEIPT_TYPES }

export const VOUCHER_TYPES = {
  Voucher: [
    { name: 'payer', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'cumulative', type: 'uint256' },
  ],
} as const

/** A payer's promise: the provider may have charged up to `cumulative` wei in all. */
export type Voucher = { readonly payer: Hex; readonly provider: Hex; readonly cumulative: bigint }

export type SigningDomain = { readonly chainId: number; readonly verifyingContract: Hex }

export function receiptHash(receipt: InferenceReceipt, domain: SigningDomain): Hex {
  return hashTypedData({
    domain: { name: 'OpenLedger', version: '1', ...domain },
    types: RECEIPT_TYPES,
    primaryType: 'InferenceReceipt',
    message: receipt,
  })
}

export function voucherHash(voucher: Voucher, domain: SigningDomain): Hex {
  return hashTypedData({
    domain: { name: 'OpenLedger', version: '1', ...domain },
    types: VOUCHER_TYPES,
    primaryType: 'Voucher',
    message: voucher,
  })
}

/** 65 bytes r || s || v, v = 27 or 28, as contracts expect. */
export function signHash(hash: Hex, privateKey: Uint8Array): Hex {
  const signature = secp256k1.sign(fromHex(hash), privateKey, {
    prehash: false,
    format: 'recovered',
  })
  return toHex(concatBytes(signature.slice(1), Uint8Array.of(27 + (signature[0] as number))))
}

/** The signer's address, or null when the signature is malformed. */
export function recoverSigner(hash: Hex, signature: Hex): Hex | null {
  try {
    const bytes = fromHex(signature)
    const v = bytes[64] ?? 0
    if (bytes.length !== 65 || (v !== 27 && v !== 28)) return null
    const recovered = concatBytes(Uint8Array.of(v - 27), bytes.slice(0, 64))
    const key = secp256k1.recoverPublicKey(recovered, fromHex(hash), { prehash: false })
    return addressOfPublicKey(secp256k1.Point.fromBytes(key).toBytes(false))
  } catch {
    return null
  }
}
