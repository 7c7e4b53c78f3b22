/** What a simulated block of this rollup is: its header as `executeBlock` would make it. */
import { OP } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { toHex } from '../base/bytes.ts'
import { EMPTY_REQUESTS_HASH } from './block.ts'
import { createMachine } from './machine.ts'
import { rollupRules } from './rules.ts'
import type { SimulationRules } from './simulation.ts'
import { writeSystemState } from './system.ts'
import type { Header } from './types.ts'

export function rollupSimulation(
  config: Pick<ChainConfig, 'l2ChainId' | 'blockTime'>,
): SimulationRules {
  const chainId = config.l2ChainId
  return {
    chainId,
    blockTime: config.blockTime,
    createMachine: ({ state, header, blobBaseFee, recent, tick }) =>
      createMachine({
        rules: rollupRules(chainId),
        state,
        environment: { ...header, ...(blobBaseFee === undefined ? {} : { blobBaseFee }) },
        recent,
        ...(tick ? { tick } : {}),
      }),
    nextBaseFee: rollupRules(chainId).nextBaseFee,
    // The parent's extra data carries the EIP-1559 parameters on.
    template: (parent) => ({
      ...parent,
      difficulty: 0n,
      gasUsed: 0n,
      blobGasUsed: 0n,
      excessBlobGas: 0n,
      requestsHash: EMPTY_REQUESTS_HASH,
    }),
    begin: (state, header) => writeSystemState(state, header as Header),
    close: async (machine, { withdrawals }) => {
      for (const { address, amount } of withdrawals) {
        machine.state.addBalance(address, amount * 1_000_000_000n)
      }
      return {}
    },
    seal: (storageRootOf) => ({
      withdrawalsRoot: toHex(storageRootOf(OP.l2ToL1MessagePasser)),
    }),
  }
}
