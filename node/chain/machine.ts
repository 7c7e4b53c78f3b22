/**
 * The EVM of one block or one call: EthereumJS under our rule set with our precompiles, over one
 * `WorldState`. `BLOCKHASH` is answered from the EIP-2935 history contract, so execution reads
 * nothing but state.
 */
import { createBlock as createEthereumBlock, type Block as EthereumBlock } from '@ethereumjs/block'
import { type EVMMockBlockchainInterface, NobleBN254 } from '@ethereumjs/evm'
import { createAddressFromString } from '@ethereumjs/util'
import { VM } from '@ethereumjs/vm'
import { customPrecompiles, PrecompileEvm } from '../../precompiles/index.ts'
import { fromHex, type Hex } from '../base/bytes.ts'
import { commonOf } from './common.ts'
import type { WorldState } from './state.ts'
import { blockHashAt } from './system.ts'
import type { Header } from './types.ts'

export type Machine = {
  readonly vm: VM
  readonly evm: PrecompileEvm
  readonly state: WorldState
  readonly block: EthereumBlock
  /** Undoes a transaction that ended in an exception, whatever checkpoints it left open. */
  unwind(depth: number): void
}

/** What the EVM can see of the block it runs in. */
export type BlockEnvironment = Pick<
  Header,
  'number' | 'coinbase' | 'timestamp' | 'gasLimit' | 'mixHash' | 'baseFeePerGas'
>

const bn254 = new NobleBN254()

export function createMachine(args: {
  chainId: number
  state: WorldState
  environment: BlockEnvironment
}): Machine {
  const { state, environment } = args
  const common = commonOf(args.chainId)
  const blockchain = historyOf(state)
  const evm = new PrecompileEvm({
    common,
    stateManager: state,
    blockchain,
    bn254,
    customPrecompiles: customPrecompiles(),
  })
  const vm = new VM({ common, stateManager: state, blockchain, evm })
  const block = createEthereumBlock(
    {
      header: {
        number: environment.number,
        coinbase: createAddressFromString(environment.coinbase),
        timestamp: environment.timestamp,
        gasLimit: environment.gasLimit,
        mixHash: fromHex(environment.mixHash),
        baseFeePerGas: environment.baseFeePerGas,
        excessBlobGas: 0n,
        blobGasUsed: 0n,
      },
    },
    { common, freeze: false, skipConsensusFormatValidation: true },
  )
  const unwind = (depth: number): void => {
    state.unwind(depth)
    state.originalStorageCache.clear()
    evm.journal.cleanJournal()
    evm.transientStorage.clear()
  }
  return { vm, evm, state, block, unwind }
}

function historyOf(state: WorldState): EVMMockBlockchainInterface {
  const blockchain: EVMMockBlockchainInterface = {
    getBlock: async (number: number) => ({ hash: () => blockHashAt(state, BigInt(number)) }),
    putBlock: async () => {},
    shallowCopy: () => blockchain,
  }
  return blockchain
}

export function addressOf(hex: Hex): ReturnType<typeof createAddressFromString> {
  return createAddressFromString(hex)
}
