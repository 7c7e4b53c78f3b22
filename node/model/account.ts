/**
 * An account the node itself acts with on L2 (the provider's): encodes a call, estimates it against the
 * head, signs, and hands it to the pool or the sequencer.
 */
import { encodeFunctionData } from 'viem/utils'
import { fromHex, type Hex } from '../base/bytes.ts'
import type { Chain } from '../chain/chain.ts'
import { signTransaction } from '../keys/sign.ts'
import type { Signer } from '../keys/signer.ts'
import { type Contract, reverted } from './contracts.ts'

export type AccountModules = {
  readonly chain: Pick<Chain, 'estimateGas' | 'head'>
  readonly chainId: number
  /** The account's nonce with what waits in the pool. */
  nonce(address: Hex): Promise<bigint>
  submit(raw: Uint8Array): Promise<Hex>
}

/** Gas on top of the estimate, percent: the head moves between estimate and inclusion. */
const GAS_MARGIN_PERCENT = 30n
const TIP_WEI = 1_000_000n

export class NodeAccount {
  readonly address: Hex
  readonly #signer: Signer
  readonly #modules: AccountModules
  #turn: Promise<unknown> = Promise.resolve()

  constructor(signer: Signer, modules: AccountModules) {
    this.#signer = signer
    this.#modules = modules
    this.address = signer.address
  }

  /** The transaction's hash. One at a time: a nonce is read and used before the next is read.
   * @throws NodeError `call-reverted` with the contract's reason; as `Signer.sign`. */
  send(
    contract: Contract,
    functionName: string,
    args: readonly unknown[],
    value = 0n,
  ): Promise<Hex> {
    const sent = this.#turn.then(() => this.#send(contract, functionName, args, value))
    this.#turn = sent.catch(() => {})
    return sent
  }

  async #send(
    contract: Contract,
    functionName: string,
    args: readonly unknown[],
    value: bigint,
  ): Promise<Hex> {
    const { chain, chainId } = this.#modules
    const data = encodeFunctionData({ abi: contract.abi, functionName, args })
    const estimate = await chain.estimateGas({
      from: this.address,
      to: contract.address,
      data: fromHex(data),
      value,
    })
    if (estimate.kind === 'failed') {
      const { returnData, error } = estimate.result
      throw reverted(contract, functionName, returnData, error?.message ?? 'out of gas')
    }
    const { baseFeePerGas } = chain.head('unsafe')
    const signed = await signTransaction(this.#signer, {
      chainId,
      nonce: Number(await this.#modules.nonce(this.address)),
      to: contract.address,
      data,
      value,
      gas: (estimate.gas * (100n + GAS_MARGIN_PERCENT)) / 100n,
      maxFeePerGas: 2n * baseFeePerGas + TIP_WEI,
      maxPriorityFeePerGas: TIP_WEI,
    })
    return this.#modules.submit(fromHex(signed))
  }
}
