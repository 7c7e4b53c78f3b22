/** Withdrawals as the L2 has them: the messages of L2ToL1MessagePasser, newest first. */
import { decodeEventLog } from 'viem'
import { OP } from '../../../../genesis/addresses.ts'
import { L2ToL1MessagePasser } from '../../../../genesis/contracts.generated.ts'
import { newestLogs } from './logs.ts'
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

/** Of one sender, or of all. */
export async function listWithdrawals(sender?: Hex): Promise<Withdrawal[]> {
  const word = sender && `0x${sender.slice(2).padStart(64, '0')}`
  const logs = await newestLogs({
    address: OP.l2ToL1MessagePasser,
    ...(word && { topics: [null, null, word] }),
  })
  return logs.flatMap(withdrawalOf)
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
