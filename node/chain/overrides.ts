/**
 * State and block overrides of calls, traces and simulated blocks: what geth and the execution-apis call
 * `StateOverride` and `BlockOverrides`. They change a state that is dropped afterwards and a machine of its own.
 */
import type { Hex } from '../base/bytes.ts'
import { fromHex, keccak } from '../base/bytes.ts'
import { EMPTY_ACCOUNT } from './account.ts'
import { addressOf, type Machine } from './machine.ts'
import { trimmed } from './state.ts'
import type { Withdrawal } from './types.ts'

export type AccountOverride = {
  /** wei */
  readonly balance?: bigint
  readonly nonce?: bigint
  readonly code?: Uint8Array
  /** The whole storage: what is not named is zero. Slots and values are 32 bytes of hex. */
  readonly state?: ReadonlyMap<Hex, Hex>
  /** These slots only. Not together with `state`. */
  readonly stateDiff?: ReadonlyMap<Hex, Hex>
  /** Where the precompile of this address answers instead. */
  readonly movePrecompileTo?: Hex
}

export type StateOverrides = ReadonlyMap<Hex, AccountOverride>

export type BlockOverrides = {
  readonly number?: bigint
  readonly timestamp?: bigint
  readonly gasLimit?: bigint
  readonly coinbase?: Hex
  readonly mixHash?: Hex
  readonly baseFeePerGas?: bigint
  readonly difficulty?: bigint
  /** wei per blob gas, as BLOBBASEFEE answers. */
  readonly blobBaseFee?: bigint
  /** Simulated blocks only, as the next two. */
  readonly parentBeaconBlockRoot?: Hex
  readonly withdrawals?: readonly Withdrawal[]
}

/** null, or why they cannot be applied. In order of address, so that the answer is the same everywhere. */
export async function applyStateOverrides(
  machine: Machine,
  overrides: StateOverrides,
): Promise<string | null> {
  const { precompiles } = machine.evm
  const taken = new Set<Hex>()
  for (const address of [...overrides.keys()].sort()) {
    const override = overrides.get(address) as AccountOverride
    if (taken.has(address)) return `account ${address} has already been overridden by a precompile`
    const key = address.slice(2)
    const precompile = precompiles.get(key)
    const to = override.movePrecompileTo
    if (to) {
      if (!precompile) return `account ${address} is not a precompile`
      if (overrides.has(to)) return `account ${to} is already overridden`
      precompiles.set(to.slice(2), precompile)
      taken.add(to)
    }
    if (precompile) precompiles.delete(key)
    if (override.state && override.stateDiff) {
      return `account ${address} has both 'state' and 'stateDiff': give one`
    }
    await overrideAccount(machine, address, override)
  }
  machine.state.originalStorageCache.clear()
  return null
}

async function overrideAccount(
  { state }: Machine,
  address: Hex,
  { balance, nonce, code, state: whole, stateDiff }: AccountOverride,
): Promise<void> {
  const isTouched = [balance, nonce, code, whole, stateDiff].some((field) => field !== undefined)
  if (!isTouched) return
  const account = state.account(address) ?? EMPTY_ACCOUNT
  state.setAccount(address, {
    ...account,
    balance: balance ?? account.balance,
    nonce: nonce ?? account.nonce,
    codeHash: code ? keccak(code) : account.codeHash,
  })
  if (code) await state.putCode(addressOf(address), code)
  if (whole) await state.clearStorage(addressOf(address))
  for (const [slot, value] of whole ?? stateDiff ?? []) {
    state.setSlot(address, slot, trimmed(fromHex(value)))
  }
}
