/**
 * What a nonce was spent for. Contracts tell a payment that was carried out and one that its payer has cancelled, or has signed
 * for somebody else, alike: the nonce is spent. The logs of the transaction that spent it tell them apart.
 *
 *   blocks in which it can have been made, newest first --bloom--> receipts --the very transfer--> made
 *
 * The time is bounded from both sides: not after the payment was good, and not long before it was taken.
 */
import { fromHex } from '../base/bytes.ts'
import { bloomMayContain } from '../chain/bloom.ts'
import type { Chain } from '../chain/chain.ts'
import { decodeTx } from '../chain/tx.ts'
import type { Block } from '../chain/types.ts'
import { VALID_SECONDS_MAX } from './options.ts'
import type { Order } from './schemes.ts'

type SpentChain = Pick<Chain, 'headRef' | 'blockByNumber' | 'receipts'>

/** A payment is taken by the clock where the chain is behind it, and a chain that stood still is behind for as long. */
const BEHIND_SECONDS_MAX = 7_200n
const LOOK_BACK_SECONDS = VALID_SECONDS_MAX + BEHIND_SECONDS_MAX

/** null: blocks or receipts of that time are not here. */
export function wasMade(order: Order, chain: SpentChain, chainId: number): boolean | null {
  const head = chain.blockByNumber(chain.headRef('unsafe').number)
  if (!head) return null
  const end = order.validBefore < head.header.timestamp ? order.validBefore : head.header.timestamp
  const from = end - LOOK_BACK_SECONDS
  let number = lastUntil(end, head.header.number, chain)
  for (; number > 0n; number--) {
    const block = chain.blockByNumber(number)
    if (!block) return null
    if (block.header.timestamp < from) return false
    const made = isMadeInBlock(order, block, { chain, chainId })
    if (made !== false) return made
  }
  return false
}

function isMadeInBlock(
  order: Order,
  block: Block,
  { chain, chainId }: { chain: SpentChain; chainId: number },
): boolean | null {
  const { logsBloom } = block.header
  if (!order.marks.every((mark) => bloomMayContain(logsBloom, fromHex(mark)))) return false
  const receipts = chain.receipts(block.hash)
  if (!receipts) return null
  const inputOf = (i: number): Uint8Array =>
    decodeTx(block.transactions[i] as Uint8Array, chainId).data
  return receipts.some(({ logs }, i) => order.isMadeIn(logs, () => inputOf(i)))
}

/** The last block of a time not after `time`, by bisection; 0 when none is known. */
function lastUntil(time: bigint, head: bigint, chain: SpentChain): bigint {
  let [low, high] = [0n, head]
  while (low < high) {
    const middle = (low + high + 1n) / 2n
    const timestamp = chain.blockByNumber(middle)?.header.timestamp
    // What is not here any more is older than what is.
    if (timestamp === undefined || timestamp <= time) low = middle
    else high = middle - 1n
  }
  return low
}
