/**
 * The account that stands as payer of record for who pays by x402: the provider's own. What payers send it is wrapped
 * OPEN; what receipts are charged from is its prepaid balance in InferenceEscrow. This keeps enough there.
 */
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { InferenceEscrow } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { NodeAccount } from '../model/account.ts'
import { type ChainReader, type Contract, readContract } from '../model/contracts.ts'
import { WOPEN } from './schemes.ts'

const ESCROW: Contract = {
  address: OPENLEDGER.inferenceEscrow,
  abi: InferenceEscrow.abi as Abi,
}
/** Requests of this size that one deposit is good for. */
const REQUESTS_A_DEPOSIT = 64n

export type TillModules = {
  readonly chain: ChainReader
  readonly account: Pick<NodeAccount, 'address' | 'send'>
  readonly log: Log
  /** Waits until the transaction is in a block; its status. */
  included(transaction: Hex): Promise<number>
}

export class Till {
  readonly #modules: TillModules
  #turn: Promise<unknown> = Promise.resolve()

  constructor(modules: TillModules) {
    this.#modules = modules
  }

  get address(): Hex {
    return this.#modules.account.address
  }

  /** One at a time: two requests do not deposit twice. @throws NodeError `till-empty` */
  ensure(need: bigint, feeMax: bigint): Promise<void> {
    const done = this.#turn.then(() => this.#ensure(need, feeMax))
    this.#turn = done.catch(() => {})
    return done
  }

  async #ensure(need: bigint, feeMax: bigint): Promise<void> {
    const { chain, log } = this.#modules
    const balance = await readContract<bigint>(chain, ESCROW, 'balanceOf', [this.address])
    if (balance >= need) return
    const wrapped = await readContract<bigint>(chain, WOPEN, 'balanceOf', [this.address])
    if (wrapped > 0n) await this.#send(WOPEN, 'withdraw', [wrapped])
    const amount = need - balance + REQUESTS_A_DEPOSIT * feeMax
    await this.#send(ESCROW, 'deposit', [], amount)
    log.info('till filled', { amount: amount.toString(), unwrapped: wrapped.toString() })
  }

  async #send(
    contract: Contract,
    name: string,
    args: readonly unknown[],
    value = 0n,
  ): Promise<void> {
    const { account, included } = this.#modules
    try {
      const status = await included(await account.send(contract, name, args, value))
      if (status === 1) return
    } catch (error) {
      const why = `the provider's account cannot fill its prepaid balance (${name}); it needs OPEN`
      throw new NodeError('till-empty', 'retry', why, {}, error)
    }
    throw new NodeError(
      'till-empty',
      'retry',
      `${name} reverted; the provider's account needs OPEN`,
    )
  }
}
