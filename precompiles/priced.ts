/**
 * The gas table as chain state: PrecompileGas keeps, at the slot that is a precompile's address, the per cent of the
 * specified gas it costs. Governance writes it; here it is read as of the running call, so a vote holds from the next
 * call on and every node sees the same.
 *
 *   gas used = ceil(specified * percent / 100)          0 (never voted on): 100
 *
 * The work is given floor(limit * 100 / percent), so nothing is done that the caller cannot pay for.
 */
import { createAddressFromString } from '@ethereumjs/util'
import { type Hex, OPENLEDGER } from '../genesis/addresses.ts'
import { PRECOMPILE_PERCENT_MAX, PRECOMPILE_PERCENT_MIN } from '../genesis/limits.ts'
import type { Precompile } from './host.ts'

const TABLE = createAddressFromString(OPENLEDGER.precompileGas)
const WHOLE = 100n

export function priced(address: Hex, precompile: Precompile): Precompile {
  const slot = new Uint8Array(32)
  slot.set(createAddressFromString(address).bytes, 12)
  return async (context) => {
    const percent = percentOf(await context.evm.stateManager.getStorage(TABLE, slot))
    if (percent === WHOLE) return precompile(context)
    const gasLimit = (context.gasLimit * WHOLE) / percent
    const outcome = await precompile({ ...context, gasLimit })
    if (outcome.kind !== 'return') return outcome
    return { ...outcome, gasUsed: (outcome.gasUsed * percent + WHOLE - 1n) / WHOLE }
  }
}

/** Whatever stands in the slot, the bounds hold. */
function percentOf(word: Uint8Array): bigint {
  const percent = word.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
  if (percent === 0n) return WHOLE
  if (percent < PRECOMPILE_PERCENT_MIN) return PRECOMPILE_PERCENT_MIN
  return percent > PRECOMPILE_PERCENT_MAX ? PRECOMPILE_PERCENT_MAX : percent
}
