/** `openledger escrow …`: the balance that pays for answers, in InferenceEscrow. */
import { type Abi, formatEther } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { InferenceEscrow } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import type { Call, Command } from '../cli/command.ts'
import { openOf } from '../cli/flags.ts'
import { KEY_FLAGS, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import type { Wallet } from '../devnet/wallet.ts'

const ESCROW = { address: OPENLEDGER.inferenceEscrow as Hex, abi: InferenceEscrow.abi as Abi }

const showBalance: Command = {
  name: 'escrow show',
  summary: 'Shows your prepaid balance and what is on its way out',
  flags: KEY_FLAGS,
  run: async (call) => report(call, (await walletFor(call)).wallet),
}

const deposit: Command = {
  name: 'escrow deposit',
  summary: 'Prepays for answers',
  args: '<OPEN>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const value = openOf(call.args[0], 'the amount')
    const { wallet } = await walletFor(call)
    await wallet.send({ ...ESCROW, functionName: 'deposit', args: [], value })
    return report(call, wallet)
  },
}

const withdraw: Command = {
  name: 'escrow withdraw',
  summary: 'Asks for a prepaid amount back; without one, takes what was asked for',
  args: '[OPEN]',
  flags: KEY_FLAGS,
  notes: 'Between the two lies an hour, in which providers settle what they have answered.',
  run: async (call) => {
    const [amount] = call.args
    const { wallet } = await walletFor(call)
    const request =
      amount === undefined
        ? { functionName: 'executeWithdrawal', args: [] }
        : { functionName: 'requestWithdrawal', args: [openOf(amount, 'the amount')] }
    await wallet.send({ ...ESCROW, ...request })
    return report(call, wallet)
  },
}

export const escrowCommands: readonly Command[] = [showBalance, deposit, withdraw]

async function report(call: Call, wallet: Wallet): Promise<undefined> {
  const of = { ...ESCROW, args: [wallet.address] }
  const [balance, [leaving, availableAt]] = await Promise.all([
    wallet.read<bigint>({ ...of, functionName: 'balanceOf' }),
    wallet.read<readonly [bigint, bigint]>({ ...of, functionName: 'withdrawalOf' }),
  ])
  const asked = availableAt > 0n
  const from = asked ? new Date(Number(availableAt) * 1_000).toISOString() : ''
  show(call, { account: wallet.address, balance, leaving, availableAt }, [
    `${wallet.address} has prepaid ${formatEther(balance)} OPEN`,
    ...(asked ? [`${formatEther(leaving)} OPEN of it can be taken from ${from} on`] : []),
  ])
}
