/** What a simulated block of a plain Ethereum chain is: its header as `executeEthereumBlock` would make it. */
import { ZERO_HASH } from '../base/bytes.ts'
import { withdrawalsRoot } from '../chain/block.ts'
import { type AncestorHash, createMachine } from '../chain/machine.ts'
import type { SimulationRules } from '../chain/simulation.ts'
import type { EthereumHeader } from '../chain/types.ts'
import type { EthereumRules } from './rules.ts'
import { beginBlock, gatherRequests, payRewards, payWithdrawals, requestsHash } from './system.ts'

/** Seconds of a slot. */
const BLOCK_TIME = 12n

export function ethereumSimulation(
  rules: EthereumRules,
  ancestorHash: AncestorHash,
): SimulationRules {
  return {
    chainId: rules.chainId,
    blockTime: BLOCK_TIME,
    createMachine: ({ state, header, blobBaseFee, recent, tick }) =>
      createMachine({
        rules: rules.at(header),
        state,
        environment: { ...header, ...(blobBaseFee === undefined ? {} : { blobBaseFee }) },
        ancestorHash,
        recent,
        ...(tick ? { tick } : {}),
      }),
    nextBaseFee: rules.nextBaseFee,
    template: (parent, place) => {
      const { has, isProofOfStake } = rules.at(place)
      const excessBlobGas = rules.nextExcessBlobGas(parent, place)
      return {
        ...withoutForkFields(parent),
        difficulty: isProofOfStake ? 0n : parent.difficulty,
        extraData: new Uint8Array(0),
        gasUsed: 0n,
        ...(has(1559) ? { baseFeePerGas: 0n } : {}),
        ...(excessBlobGas === undefined ? {} : { blobGasUsed: 0n, excessBlobGas }),
        ...(has(4788) ? { parentBeaconBlockRoot: ZERO_HASH } : {}),
      }
    },
    begin: (state, header) => beginBlock(state, header, rules.at(header)),
    close: async (machine, { header, withdrawals, logs }) => {
      const own = rules.at(header)
      payWithdrawals(machine.state, withdrawals)
      if (!own.isProofOfStake) payRewards(machine.state, header, [], own)
      return {
        ...(own.has(4895) ? { withdrawalsRoot: withdrawalsRoot(withdrawals) } : {}),
        ...(own.has(7685)
          ? { requestsHash: requestsHash(await gatherRequests(machine, logs, own)) }
          : {}),
      }
    },
    seal: () => ({}),
  }
}

function withoutForkFields(parent: EthereumHeader): EthereumHeader {
  const {
    baseFeePerGas: _baseFee,
    withdrawalsRoot: _withdrawals,
    blobGasUsed: _blobGas,
    excessBlobGas: _excess,
    parentBeaconBlockRoot: _beacon,
    requestsHash: _requests,
    ...rest
  } = parent
  return rest
}
