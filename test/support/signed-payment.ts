/** Payments that are signatures, as others' contracts and packages have them typed: EIP-3009 and Permit2. */
import { authorizationTypes } from '@x402/evm'
import { OP } from '../../genesis/addresses.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { CHAIN_ID, type Wallet } from './chain.ts'
import { accountOf } from './open.ts'

/** EIP-3009's message; numbers as wei or as text. */
type Authorization = Readonly<
  Record<'from' | 'to' | 'nonce', string> &
    Record<'value' | 'validAfter' | 'validBefore', bigint | string>
>

/** PayableWOPEN's `transferWithAuthorization`. */
export function signAuthorization(who: Wallet, message: Authorization): Promise<Hex> {
  return accountOf(who).signTypedData({
    domain: {
      name: 'Wrapped OPEN',
      version: '1',
      chainId: CHAIN_ID,
      verifyingContract: OP.wopen,
    },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    // viem takes the texts too.
    message: message as never,
  })
}

/** Permit2's `permitTransferFrom`. */
export const PERMIT_TRANSFER_FROM = {
  PermitTransferFrom: [
    { name: 'permitted', type: 'TokenPermissions' },
    { name: 'spender', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
  TokenPermissions: [
    { name: 'token', type: 'address' },
    { name: 'amount', type: 'uint256' },
  ],
} as const
