/**
 * The EthereumJS rule set: Prague from genesis under our chain id, or for a plain Ethereum chain that of one of its
 * forks. One frozen instance per chain id (and fork) is shared by every transaction and EVM: EthereumJS copies its `Common` and rebuilds the parameter
 * table for each transaction otherwise, which costs more than a transfer.
 */
import { paramsBlock } from '@ethereumjs/block'
import { type ChainConfig, Common, Hardfork, Mainnet, type ParamsDict } from '@ethereumjs/common'
import { paramsEVM } from '@ethereumjs/evm'
import { paramsTx } from '@ethereumjs/tx'
import type { KZG } from '@ethereumjs/util'
import { paramsVM } from '@ethereumjs/vm'
import { fromHex } from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'
import { ecrecover } from './ecrecover.ts'
import { verifyKzgProof } from './kzg.ts'

/** Complete instances. (Outside the class: `Common`'s constructor already calls the methods below.) */
const sealed = new WeakSet<Common>()

class FixedCommon extends Common {
  override copy(): Common {
    return this
  }

  override updateParams(params: ParamsDict): void {
    if (!sealed.has(this)) super.updateParams(params)
  }

  override setHardfork(hardfork: string): void {
    if (!sealed.has(this)) super.setHardfork(hardfork)
  }
}

const byChainId = new Map<number, Common>()

export function commonOf(chainId: number): Common {
  let common = byChainId.get(chainId)
  if (!common) {
    common = createCommon(chainId)
    byChainId.set(chainId, common)
  }
  return common
}

function createCommon(chainId: number): Common {
  return createSealedCommon({
    chain: { ...Mainnet, name: 'openledger', chainId },
    hardfork: Hardfork.Prague,
  })
}

/** `params`: over EthereumJS' own, by EIP or fork name. */
export function createSealedCommon(args: {
  chain: ChainConfig
  hardfork: string
  params?: ParamsDict
}): Common {
  const { chain, hardfork, params = {} } = args
  const common = new FixedCommon({
    chain,
    hardfork,
    customCrypto: { kzg: pointEvaluation(), keccak256: crypto.keccak256, ecrecover },
  })
  for (const one of [paramsBlock, paramsTx, paramsEVM, paramsVM, params]) common.updateParams(one)
  // Every EVM listens for a change of hard fork and would never be let go by a shared instance.
  common.events.on = () => common.events
  sealed.add(common)
  return common
}

/** Of KZG the EVM needs one operation, the point evaluation precompile 0x0a (EIP-4844). */
function pointEvaluation(): KZG {
  const verifyProof = (commitment: string, z: string, y: string, proof: string): boolean =>
    verifyKzgProof({
      commitment: fromHex(commitment),
      z: fromHex(z),
      y: fromHex(y),
      proof: fromHex(proof),
    })
  return { verifyProof } as unknown as KZG
}
