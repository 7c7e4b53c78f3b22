/** What a simulated block of this rollup is: its header as `executeBlock` would make it. */
import { OP } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { toHex, ZERO_HASH } from '../base/bytes.ts'
import { EMPTY_REQUESTS_HASH } from './block.ts'
import { rollupRules } from './rules.ts'
import type { SimulationRules } from './simulation.ts'
import { writeSystemState } from './system.ts'

const WEI_PER_GWEI = 1_000_000_000n

export function rollupSimulation(
  config: Pick<ChainConfig, 'l2ChainId' | 'blockTime'>,
): SimulationRules {
  return {
    chain: rollupRules(config.l2ChainId),
    blockTime: config.blockTime,
    // The parent's extra data carries the EIP-1559 parameters on.
    template: (parent) => ({
      ...parent,
      difficulty: 0n,
      gasUsed: 0n,
      blobGasUsed: 0n,
      excessBlobGas: 0n,
      requestsHash: EMPTY_REQUESTS_HASH,
    }),
    begin: (state, header) =>
      writeSystemState(state, {
        ...header,
        parentBeaconBlockRoot: header.parentBeaconBlockRoot ?? ZERO_HASH,
      }),
    close: async (machine, { withdrawals }) => {
      for (const { address, amount } of withdrawals) {
        machine.state.addBalance(address, amount * WEI_PER_GWEI)
      }
      return {}
    },
    seal: (storageRootOf) => ({
      withdrawalsRoot: toHex(storageRootOf(OP.l2ToL1MessagePasser)),
    }),
  }
}
