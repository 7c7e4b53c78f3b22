/** `openledger rewards …`: what receipts have paid an account, in RewardDistributor. */
import { type Abi, formatEther } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { RewardDistributor } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import type { Wallet } from '../devnet/wallet.ts'

const REWARDS = { address: OPENLEDGER.rewardDistributor as Hex, abi: RewardDistributor.abi as Abi }

type Pending = { readonly pending: string; readonly claimable: string }

const showRewards: Command = {
  name: 'rewards show',
  summary: 'Shows what an account has earned and not claimed',
  args: '<account>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const [account] = call.args
    const found = await nodeOf(call).rpc<Pending>('openledger_pendingRewards', account)
    show(call, { account, ...found }, [
      `${account} has earned ${formatEther(BigInt(found.pending))} OPEN that wait`,
      `${formatEther(BigInt(found.claimable))} OPEN of it can be claimed now; the rest when nobody can dispute it any more`,
    ])
    return undefined
  },
}

const claim: Command = {
  name: 'rewards claim',
  summary: 'Claims what you have earned and nobody can dispute any more',
  flags: KEY_FLAGS,
  run: async (call) => {
    const { wallet } = await walletFor(call)
    const epochs = await finalEpochs(wallet)
    const { transactionHash: transaction } = await wallet.send({
      ...REWARDS,
      functionName: 'claim',
      args: [epochs.map(({ epoch }) => epoch)],
    })
    const amount = epochs.reduce((sum, { amount }) => sum + amount, 0n)
    show(call, { account: wallet.address, amount, transaction }, [
      `${formatEther(amount)} OPEN to ${wallet.address} in transaction ${transaction}`,
    ])
    return undefined
  },
}

export const rewardCommands: readonly Command[] = [showRewards, claim]

/** As many as one transaction may claim. @throws NodeError `refused` when there is none, with the time of the next */
async function finalEpochs(wallet: Wallet): Promise<{ epoch: bigint; amount: bigint }[]> {
  const read = <T>(functionName: string, ...args: unknown[]): Promise<T> =>
    wallet.read<T>({ ...REWARDS, functionName, args })
  const most = Number(await read<bigint>('CLAIM_EPOCHS_MAX'))
  const unclaimed = await read<readonly bigint[]>('unclaimedEpochs', wallet.address)
  const { timestamp } = await wallet.reader.getBlock()
  const final = []
  for (const epoch of unclaimed.slice(0, most)) {
    const from = await read<bigint>('claimableFrom', epoch)
    if (timestamp < from) {
      // Oldest first: none after it is final either.
      if (final.length > 0) break
      const at = new Date(Number(from) * 1_000).toISOString()
      throw userError(
        'refused',
        `nothing can be claimed before ${at}; until then it can be disputed`,
      )
    }
    final.push({ epoch, amount: await read<bigint>('accruedInEpoch', epoch, wallet.address) })
  }
  if (final.length > 0) return final
  throw userError('refused', `${wallet.address} has nothing to claim`)
}
