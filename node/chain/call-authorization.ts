/**
 * EIP-7702 authorizations of a call that is only tried: each valid one gives its signer the code it names, as
 * the transaction would, so that `eth_estimateGas` of a type 4 transaction sees what will run. An invalid one
 * is passed over, as in the transaction.
 */
import { eoaCode7702RecoverAuthority } from '@ethereumjs/util'
import { bytesEqual, concatBytes, fromHex, type Hex } from '../base/bytes.ts'
import { EMPTY_ACCOUNT, EMPTY_CODE_HASH } from './account.ts'
import { addressOf, type Machine } from './machine.ts'
import { integer } from './rlp.ts'
import { isDelegation } from './tx.ts'

export type Authorization = {
  /** 0: any chain. */
  readonly chainId: bigint
  readonly address: Hex
  readonly nonce: bigint
  readonly yParity: number
  readonly r: bigint
  readonly s: bigint
}

/** PER_EMPTY_ACCOUNT_COST of EIP-7702. */
export const AUTHORIZATION_GAS: bigint = 25_000n
const DELEGATION = Uint8Array.of(0xef, 0x01, 0x00)
const NO_ADDRESS: Hex = `0x${'00'.repeat(20)}`

export async function applyAuthorizations(
  machine: Machine,
  list: readonly Authorization[],
  from: Hex,
): Promise<void> {
  for (const one of list) await apply(machine, one, from)
}

async function apply(machine: Machine, one: Authorization, from: Hex): Promise<void> {
  const { state, evm } = machine
  if (one.chainId !== 0n && one.chainId !== evm.common.chainId()) return
  const authority = authorityOf(one)
  if (!authority) return
  evm.journal.addAlwaysWarmAddress(authority)
  const account = state.account(authority) ?? EMPTY_ACCOUNT
  const isPlain = bytesEqual(account.codeHash, EMPTY_CODE_HASH)
  if (!isPlain && !isDelegation(state.code(account.codeHash))) return
  // The sender's own nonce moves before its authorizations are read.
  const nonce = account.nonce + (authority === from ? 1n : 0n)
  if (nonce !== one.nonce) return
  state.setAccount(authority, { ...account, nonce: account.nonce + 1n })
  const isCleared = one.address === NO_ADDRESS
  const code = isCleared ? new Uint8Array(0) : concatBytes(DELEGATION, fromHex(one.address))
  await state.putCode(addressOf(authority), code)
}

/** null when the signature gives no signer. */
function authorityOf(one: Authorization): Hex | null {
  const { chainId, nonce, yParity, r, s } = one
  try {
    const signer = eoaCode7702RecoverAuthority([
      integer(chainId),
      fromHex(one.address),
      integer(nonce),
      integer(yParity),
      integer(r),
      integer(s),
    ])
    return signer.toString()
  } catch {
    return null
  }
}
