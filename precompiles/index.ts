/**
 * The table of EVM extensions: what `node/chain` plugs into its EVM.
 */
import type { CustomPrecompile } from '@ethereumjs/evm'
import { createAddressFromString } from '@ethereumjs/util'
import { type Hex, PRECOMPILE } from '../genesis/addresses.ts'
import { model } from './0a01-model.ts'
import { attribute } from './0a02-attribute.ts'
import { span } from './0a04-span.ts'
import { upgrade } from './0a05-upgrade.ts'
import { type Precompile, toPrecompileFunc } from './host.ts'
import { priced } from './priced.ts'

export { PrecompileEvm } from './host.ts'

const TABLE: readonly (readonly [Hex, Precompile])[] = [
  [PRECOMPILE.model, model],
  [PRECOMPILE.attribute, attribute],
  [PRECOMPILE.span, span],
  [PRECOMPILE.upgrade, upgrade],
]

/** For an EVM that is a `PrecompileEvm`. */
export function customPrecompiles(): CustomPrecompile[] {
  return TABLE.map(([address, precompile]) => ({
    address: createAddressFromString(address),
    function: toPrecompileFunc(priced(address, precompile)),
  }))
}
