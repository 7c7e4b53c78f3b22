/**
 * The EVM of one block or one call: EthereumJS under the rules of the block, over one `WorldState`. On the
 * rollup `BLOCKHASH` is answered from the EIP-2935 history contract, so execution reads nothing but
 * state; a chain that is older than that contract hands in its ancestors.
 */
import { createBlock as createEthereumBlock, type Block as EthereumBlock } from '@ethereumjs/block'
import { type EVMMockBlockchainInterface, NobleBN254 } from '@ethereumjs/evm'
import { createAddressFromString } from '@ethereumjs/util'
import { VM } from '@ethereumjs/vm'
import { PrecompileEvm } from '../../precompiles/index.ts'
import { fromHex, type Hex } from '../base/bytes.ts'
import type { BlockRules } from './rules.ts'
import type { WorldState } from './state.ts'
import { blockHashAt } from './system.ts'
import type { EthereumHeader } from './types.ts'

export type Machine = {
  readonly rules: BlockRules
  readonly vm: VM
  readonly evm: PrecompileEvm
  readonly state: WorldState
  readonly block: EthereumBlock
  /** Addresses that are warm from the start (EIP-2929): of the precompiles, wherever a call has moved them. */
  readonly precompiles: readonly string[]
  /** Undoes a transaction that ended in an exception, whatever checkpoints it left open. */
  unwind(depth: number): void
}

/** What the EVM can see of the block it runs in. */
export type BlockEnvironment = Pick<
  EthereumHeader,
  | 'number'
  | 'coinbase'
  | 'timestamp'
  | 'gasLimit'
  | 'mixHash'
  | 'baseFeePerGas'
  | 'excessBlobGas'
  | 'blobGasUsed'
> &
  Partial<Pick<EthereumHeader, 'difficulty'>> & {
    /** What BLOBBASEFEE says instead of the price that follows from the header. */
    readonly blobBaseFee?: bigint
  }

/** Hash of an ancestor, 32 bytes; asked for the last 256 only. */
export type AncestorHash = (number: bigint) => Uint8Array

const bn254 = new NobleBN254()

export function createMachine(args: {
  rules: BlockRules
  state: WorldState
  environment: BlockEnvironment
  /** Default: the history contract's (EIP-2935). */
  ancestorHash?: AncestorHash
  /** Hashes known before any ancestor's: of the block a call stands on, of simulated ones. */
  recent?: (number: bigint) => Hex | undefined
  /** Asked at every jump destination and every message: what it throws ends the run. */
  tick?: () => void
}): Machine {
  const { rules, state, environment, recent, tick } = args
  const { common } = rules
  const { ancestorHash = (number) => blockHashAt(state, number) } = args
  const blockchain = historyOf((number) => {
    const known = recent?.(number)
    return known ? fromHex(known) : ancestorHash(number)
  })
  const evm = new PrecompileEvm({
    common,
    stateManager: state,
    blockchain,
    bn254,
    customPrecompiles: [...rules.precompiles],
  })
  const vm = new VM({ common, stateManager: state, blockchain, evm })
  const { baseFeePerGas = 0n, excessBlobGas = 0n, blobGasUsed = 0n } = environment
  const block = createEthereumBlock(
    {
      header: {
        number: environment.number,
        coinbase: createAddressFromString(environment.coinbase),
        timestamp: environment.timestamp,
        gasLimit: environment.gasLimit,
        mixHash: fromHex(environment.mixHash),
        difficulty: environment.difficulty ?? 0n,
        ...(common.isActivatedEIP(1559) ? { baseFeePerGas } : {}),
        ...(common.isActivatedEIP(4844) ? { excessBlobGas, blobGasUsed } : {}),
      },
    },
    { common, freeze: false, skipConsensusFormatValidation: true },
  )
  if (environment.blobBaseFee !== undefined) {
    const price = environment.blobBaseFee
    Object.assign(block.header, { getBlobGasPrice: () => price })
  }
  if (tick) askAtJumps(evm, tick)
  const unwind = (depth: number): void => {
    state.unwind(depth)
    state.originalStorageCache.clear()
    evm.journal.cleanJournal()
    evm.transientStorage.clear()
  }
  const precompiles = [...evm.precompiles.keys()]
  return { rules, vm, evm, state, block, precompiles, unwind }
}

/** No loop goes without a jump, so whoever asks at each one is asked often enough to stop a call in time. */
export function askAtJumps(evm: PrecompileEvm, tick: () => void): void {
  type Opcode = { opHandler: (...args: unknown[]) => unknown }
  const table = (evm as unknown as { _opcodeMap: Opcode[] })._opcodeMap
  const jumpdest = table[0x5b] as Opcode
  table[0x5b] = {
    ...jumpdest,
    opHandler: (...args) => {
      tick()
      return jumpdest.opHandler(...args)
    },
  }
  evm.events.on('beforeMessage', () => tick())
}

function historyOf(ancestorHash: AncestorHash): EVMMockBlockchainInterface {
  const blockchain: EVMMockBlockchainInterface = {
    getBlock: async (number: number) => ({ hash: () => ancestorHash(BigInt(number)) }),
    putBlock: async () => {},
    shallowCopy: () => blockchain,
  }
  return blockchain
}

export function addressOf(hex: Hex): ReturnType<typeof createAddressFromString> {
  return createAddressFromString(hex)
}
