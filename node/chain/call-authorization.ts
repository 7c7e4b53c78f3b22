/**
 * EIP-7702 authorizations of a call that is only tried: each valid one gives its signer the code it names, as
 * the transaction would, so that `eth_estimateGas` of a type 4 transaction sees what will run. An invalid one
 * is passed over, as in the transaction.
 */
import type { TypedTransaction } from '@ethereumjs/tx'
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

const DELEGATION = Uint8Array.of(0xef, 0x01, 0x00)
const NO_ADDRESS: Hex = `0x${'00'.repeat(20)}`

/** After the sender's nonce has moved, as in the transaction. The gas to give back: what was taken for an
 * account that turned out to exist. */
export async function applyAuthorizations(
  machine: Machine,
  list: readonly Authorization[],
): Promise<bigint> {
  let refund = 0n
  for (const one of list) refund += await apply(machine, one)
  return refund
}

async function apply(machine: Machine, one: Authorization): Promise<bigint> {
  const { state, evm } = machine
  if (one.chainId !== 0n && one.chainId !== evm.common.chainId()) return 0n
  const authority = authorityOf(one)
  if (!authority) return 0n
  evm.journal.addAlwaysWarmAddress(authority)
  const known = state.account(authority)
  const account = known ?? EMPTY_ACCOUNT
  const isPlain = bytesEqual(account.codeHash, EMPTY_CODE_HASH)
  if (!isPlain && !isDelegation(state.code(account.codeHash))) return 0n
  if (account.nonce !== one.nonce) return 0n
  state.setAccount(authority, { ...account, nonce: account.nonce + 1n })
  const isCleared = one.address === NO_ADDRESS
  const code = isCleared ? new Uint8Array(0) : concatBytes(DELEGATION, fromHex(one.address))
  await state.putCode(addressOf(authority), code)
  const { common } = evm
  return known ? common.param('perEmptyAccountCost') - common.param('perAuthBaseGas') : 0n
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

/** Who signed the authorizations of a transaction; the invalid ones are left out. */
export function authoritiesOf(inner: TypedTransaction): Hex[] {
  if (!('authorizationList' in inner)) return []
  return inner.authorizationList.flatMap((one) => {
    try {
      return [eoaCode7702RecoverAuthority(one).toString()]
    } catch {
      return []
    }
  })
}
