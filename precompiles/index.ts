/**
 * The table of EVM extensions: what `node/chain` plugs into its EVM.
 */
import type { CustomPrecompile } from '@ethereumjs/evm'

export { PrecompileEvm } from './host.ts'

export function customPrecompiles(): CustomPrecompile[] {
  return []
}
