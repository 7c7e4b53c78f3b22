/** Withdrawals as the L2 has them: the messages of L2ToL1MessagePasser, newest first. */
import { decodeEventLog } from 'viem'
import { OP } from '../../../../genesis/addresses.ts'
import { L2ToL1MessagePasser } from '../../../../genesis/contracts.generated.ts'
import { allLogs, newestLogs, word } from './logs.ts'
import type { Hex, LogJson } from './types.ts'

export type Withdrawal = {
  readonly nonce: bigint
  readonly sender: Hex
  readonly target: Hex
  /** wei of OPEN. */
  readonly value: bigint
  readonly hash: Hex
  readonly transaction: Hex
  readonly block: number
}

const address = OP.l2ToL1MessagePasser

/** The newest of everybody. */
export async function newestWithdrawals(): Promise<Withdrawal[]> {
  return (await newestLogs({ address })).flatMap(withdrawalOf)
}

/** All of one sender: it takes days until one is paid, longer than the newest blocks reach back. */
export async function withdrawalsOf(sender: Hex): Promise<Withdrawal[]> {
  const logs = await allLogs({ address, topics: [null, null, word(sender)] })
  return logs.reverse().flatMap(withdrawalOf)
}

function withdrawalOf({ topics, data, transactionHash, blockNumber }: LogJson): Withdrawal[] {
  // The contract's other event has one topic less.
  if (topics.length !== 4) return []
  const { args } = decodeEventLog({
    abi: L2ToL1MessagePasser.abi,
    eventName: 'MessagePassed',
    topics: topics as [Hex, ...Hex[]],
    data,
  })
  const { nonce, sender, target, value, withdrawalHash } = args
  return [
    {
      nonce,
      sender: sender.toLowerCase() as Hex,
      target: target.toLowerCase() as Hex,
      value,
      hash: withdrawalHash,
      transaction: transactionHash,
      block: Number(blockNumber),
    },
  ]
}
