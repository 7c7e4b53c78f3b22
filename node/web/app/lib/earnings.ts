/** What was paid to contributors, read from ReceiptRegistry's logs: who, for which receipt, of which model, how many wei. */
import { decodeEventLog, encodeEventTopics } from 'viem'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { ReceiptRegistry } from '../../../../genesis/contracts.generated.ts'
import { allLogs, word } from './logs.ts'
import type { Hex } from './types.ts'

export type Earning = {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly account: Hex
  /** Part of 2^32. */
  readonly weight: bigint
  readonly amount: bigint
  readonly block: number
  readonly transaction: Hex
}

const { abi } = ReceiptRegistry
const address = OPENLEDGER.receiptRegistry
const topicOf = (eventName: 'Attributed' | 'ReceiptSettled'): Hex =>
  encodeEventTopics({ abi, eventName })[0] as Hex

/** Of one account, or of everybody; oldest first. */
export async function earningsOf(account: Hex | null): Promise<Earning[]> {
  const [paid, settled] = await Promise.all([
    allLogs({
      address,
      topics: [topicOf('Attributed'), null, ...(account ? [word(account)] : [])],
    }),
    allLogs({ address, topics: [topicOf('ReceiptSettled')] }),
  ])
  const models = new Map(settled.map(({ topics }) => [topics[1], topics[2] as Hex]))
  return paid.map(({ topics, data, blockNumber, transactionHash }) => {
    const { args } = decodeEventLog({
      abi,
      eventName: 'Attributed',
      topics: topics as [Hex, ...Hex[]],
      data,
    })
    return {
      receiptHash: args.receiptHash,
      modelId: models.get(args.receiptHash) ?? '0x',
      account: args.account.toLowerCase() as Hex,
      weight: BigInt(args.weight),
      amount: args.amount,
      block: Number(blockNumber),
      transaction: transactionHash,
    }
  })
}
