/**
 * UPGRADE, 0x…0a05: gives a predeploy the code of another contract, by vote. There are no proxies: what a predeploy
 * runs is what stands in the state at its address, and only OpenTimelock may have it replaced, which lets whoever
 * disagrees leave first (its exit window is longer than a withdrawal takes).
 *
 *   upgrade(address target, address source) returns (bytes32 codeHash)
 *
 * Storage, balance and nonce stay. OpenTimelock and L2ToL1MessagePasser are no targets: neither the window nor the way
 * out can be voted away.
 */
import { Address } from '@ethereumjs/util'
import { OP, OPENLEDGER } from '../genesis/addresses.ts'
import { UPGRADE_CODE_BYTES_MAX } from '../genesis/limits.ts'
import { UPGRADE_ENTRY_GAS, upgradeGas } from './gas.ts'
import type { Precompile, PrecompileOutcome } from './host.ts'
import { decodeStrict, encodeAbi, selectorOf } from './util.ts'

const UPGRADE_SELECTOR = 0x99a88ec4
const INPUT_BYTES = 4 + 64
/** The first bytes of every predeploy's address: ours ("OPEN") and the OP Stack's. */
const RANGES = [OPENLEDGER.datanetRegistry, OP.wopen].map((address) => address.slice(0, 38))
const FIXED: readonly string[] = [OPENLEDGER.openTimelock, OP.l2ToL1MessagePasser]
/** Of a delegation (EIP-7702), and of every code that EIP-3541 forbids to deploy. */
const NO_CODE = 0xef

export const upgrade: Precompile = async ({ input, gasLimit, frame, evm }) => {
  if (input.length !== INPUT_BYTES) return halt('malformed arguments')
  if (!frame.isPlain) return halt('only a plain call may write')
  if (frame.isStatic) return halt('a static call may not write')
  if (frame.value !== 0n) return halt('takes no value')
  if (frame.caller.toString() !== OPENLEDGER.openTimelock) return halt('only OpenTimelock may call')
  if (selectorOf(input) !== UPGRADE_SELECTOR) return halt('unknown function')
  const addresses = decodeStrict(input, (reader) => {
    reader.head(2)
    return [new Address(reader.address(0)), new Address(reader.address(1))] as const
  })
  if (!addresses) return halt('malformed arguments')
  const [target, source] = addresses
  if (!isTarget(target.toString())) return halt('no such target')
  if (UPGRADE_ENTRY_GAS > gasLimit) return { kind: 'out-of-gas' }
  const account = await evm.stateManager.getAccount(target)
  if (!account?.isContract()) return halt('nothing stands at the target')
  const code = await evm.stateManager.getCode(source)
  const gasUsed = upgradeGas(code.length)
  if (gasUsed > gasLimit) return { kind: 'out-of-gas' }
  if (code.length === 0 || code.length > UPGRADE_CODE_BYTES_MAX || code[0] === NO_CODE)
    return halt('no code to take')
  await evm.stateManager.putCode(target, code)
  const written = await evm.stateManager.getAccount(target)
  if (!written) return halt('nothing stands at the target')
  await evm.journal.putAccount(target, written)
  return { kind: 'return', gasUsed, output: encodeAbi([{ word: written.codeHash }]) }
}

function isTarget(address: string): boolean {
  return RANGES.some((range) => address.startsWith(range)) && !FIXED.includes(address)
}

function halt(reason: string): PrecompileOutcome {
  return { kind: 'halt', reason }
}
