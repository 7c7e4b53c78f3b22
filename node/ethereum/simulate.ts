/** What a simulated block of a plain Ethereum chain is: the header fields of its fork, requests and withdrawals. */
import { ZERO_HASH } from '../base/bytes.ts'
import { EMPTY_OMMERS_HASH, withdrawalsRoot, ZERO_NONCE } from '../chain/block.ts'
import type { AncestorHash } from '../chain/machine.ts'
import type { SimulationRules } from '../chain/simulation.ts'
import type { EthereumHeader } from '../chain/types.ts'
import type { EthereumRules } from './rules.ts'
import { beginBlock, gatherRequests, payRewards, payWithdrawals, requestsHash } from './system.ts'

/** Seconds; a slot. */
const BLOCK_TIME = 12n

export function ethereumSimulation(
  rules: EthereumRules,
  ancestorHash: AncestorHash,
): SimulationRules {
  return {
    chain: rules,
    blockTime: BLOCK_TIME,
    ancestorHash,
    template: (parent, at) => {
      const { isProofOfStake, has } = rules.at(at)
      const excessBlobGas = rules.nextExcessBlobGas(parent, at)
      return {
        ...bare(parent),
        difficulty: isProofOfStake ? 0n : parent.difficulty,
        ...(has(1559) ? { baseFeePerGas: 0n } : {}),
        ...(excessBlobGas === undefined ? {} : { excessBlobGas, blobGasUsed: 0n }),
        ...(has(4788) ? { parentBeaconBlockRoot: ZERO_HASH } : {}),
      }
    },
    begin: (state, header) => beginBlock(state, header, rules.at(header)),
    close: async (machine, { header, withdrawals, receipts }) => {
      const block = rules.at(header)
      payWithdrawals(machine.state, withdrawals)
      if (!block.isProofOfStake) payRewards(machine.state, header, [], block)
      return {
        ...(block.has(7685)
          ? { requestsHash: requestsHash(await gatherRequests(machine, receipts, block)) }
          : {}),
        ...(block.has(4895) ? { withdrawalsRoot: withdrawalsRoot(withdrawals) } : {}),
      }
    },
    seal: () => ({}),
  }
}

/** What every header has. */
function bare(parent: EthereumHeader): EthereumHeader {
  const { parentHash, coinbase, stateRoot, transactionsRoot, receiptsRoot, logsBloom } = parent
  return {
    parentHash,
    coinbase,
    stateRoot,
    transactionsRoot,
    receiptsRoot,
    logsBloom,
    ommersHash: EMPTY_OMMERS_HASH,
    difficulty: 0n,
    number: 0n,
    gasLimit: 0n,
    gasUsed: 0n,
    timestamp: 0n,
    extraData: new Uint8Array(0),
    mixHash: ZERO_HASH,
    nonce: ZERO_NONCE,
  }
}
