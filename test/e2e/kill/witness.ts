/**
 * Users of a chain whose node keeps dying: some send transactions all the time, one writes down whatever
 * the node has shown. What was shown once must stay true.
 */

import { privateKeyToAccount } from 'viem/accounts'
import type { Hex } from '../../../node/base/bytes.ts'
import type { Rpc } from '../../../scripts/devnet/economy.ts'

type ShownReceipt = { readonly blockHash: string; readonly blockNumber: string }

/** What the node has answered, ever. */
export class Witness {
  readonly blocks: Map<number, string> = new Map()
  readonly receipts: Map<string, ShownReceipt> = new Map()
  head = 0
  readonly #rpc: Rpc

  constructor(rpc: Rpc) {
    this.#rpc = rpc
  }

  /** Looks at new blocks and the receipts in them until `done`; a node that is away is asked again. */
  async watch(done: () => boolean): Promise<void> {
    while (!done()) {
      const seen = await this.#look().catch(() => false)
      if (!seen) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async #look(): Promise<boolean> {
    const tag = `0x${(this.head + 1).toString(16)}`
    const block = await this.#rpc<{ hash: string; transactions: string[] } | null>(
      'eth_getBlockByNumber',
      tag,
      false,
    )
    if (!block) return false
    this.blocks.set(this.head + 1, block.hash)
    this.head++
    for (const hash of block.transactions.slice(1)) {
      const receipt = await this.#rpc<ShownReceipt | null>('eth_getTransactionReceipt', hash)
      if (receipt) this.receipts.set(hash, receipt)
    }
    return true
  }

  /** What is not as it was shown, from block `first` on. */
  async broken(first: number): Promise<string[]> {
    const faults: string[] = []
    const head = Number(await this.#rpc<string>('eth_blockNumber'))
    if (head < this.head) faults.push(`the head is ${head} and was ${this.head}`)
    for (const [number, hash] of this.blocks) {
      if (number < first) continue
      const tag = `0x${number.toString(16)}`
      const block = await this.#rpc<{ hash: string } | null>('eth_getBlockByNumber', tag, false)
      if (block?.hash !== hash) faults.push(`block ${number} was ${hash}, is ${block?.hash}`)
    }
    for (const [hash, shown] of this.receipts) {
      if (Number(shown.blockNumber) < first) continue
      const receipt = await this.#rpc<ShownReceipt | null>('eth_getTransactionReceipt', hash)
      if (receipt?.blockHash !== shown.blockHash)
        faults.push(`${hash} was in ${shown.blockHash}, is in ${receipt?.blockHash}`)
    }
    return faults
  }
}

/** Transfers of one account, one after another, each nonce again until it is in a block. Sent in all. */
export async function transact(
  rpc: Rpc,
  options: { key: Hex; to: Hex; chainId: number; ahead: number; done: () => boolean },
): Promise<number> {
  const account = privateKeyToAccount(options.key)
  let sent = 0
  let next = 0
  while (!options.done()) {
    try {
      const base = Number(await rpc<string>('eth_getTransactionCount', account.address, 'latest'))
      // After a crash the pool is empty: what was not in a block is sent again.
      if (next < base || next > base + options.ahead) next = base
      const raw = await account.signTransaction({
        type: 'eip1559',
        chainId: options.chainId,
        nonce: next,
        to: options.to,
        value: 1n,
        gas: 21_000n,
        maxFeePerGas: 10n ** 10n,
        maxPriorityFeePerGas: 1n,
      })
      await rpc('eth_sendRawTransaction', raw)
      next++
      sent++
    } catch (error) {
      // The node is away, or it knows this nonce; where it stands is asked again.
      next = /already known|nonce too low/.test(String(error)) ? next + 1 : 0
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }
  return sent
}
