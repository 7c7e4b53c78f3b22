/**
 * What to pay: the tip to suggest, and the fee history wallets draw conclusions from. Deposits pay no
 * tip and make no offer, so they are left out.
 */

import { DEPOSIT_TYPE } from '../chain/deposit.ts'
import type { EthereumBlock as Block, Receipt } from '../chain/types.ts'
import { receiptsOf } from './blocks.ts'
import type { RpcChain } from './context.ts'
import { quantity } from './format.ts'
import type { JsonObject } from './method.ts'
import type { RpcOptions } from './options.ts'

/** A block with less than this part of its gas left counts as full: demand may exceed supply. */
const FULL_LEFT_PARTS = 20n

/** wei per gas. The floor while there is room; else the median tip of the newest block and a tenth. */
export function suggestTip(chain: RpcChain, options: Pick<RpcOptions, 'tipSuggestedMin'>): bigint {
  const block = chain.blockByTag('unsafe')
  const floor = options.tipSuggestedMin
  if (!block) return floor
  const { gasLimit, gasUsed, baseFeePerGas = 0n } = block.header
  if ((gasLimit - gasUsed) * FULL_LEFT_PARTS >= gasLimit) return floor
  const tips = offersIn(receiptsOf(chain, block), baseFeePerGas)
  const median = tips[tips.length >> 1]?.tip ?? 0n
  const raised = (median * 11n) / 10n
  return raised > floor ? raised : floor
}

export function suggestGasPrice(
  chain: RpcChain,
  options: Pick<RpcOptions, 'tipSuggestedMin'>,
): bigint {
  return nextBaseFeeOf(chain) + suggestTip(chain, options)
}

/** Of the block after the head, wei per gas; 0 before London. */
export function nextBaseFeeOf(chain: RpcChain): bigint {
  return chain.rules.nextBaseFee(chain.head('unsafe')) ?? 0n
}

/** `blocks` ascending, at least one. */
export function feeHistory(
  chain: RpcChain,
  blocks: readonly Block[],
  percentiles: readonly number[],
): JsonObject {
  const [oldest, newest] = [blocks[0] as Block, blocks.at(-1) as Block]
  return {
    oldestBlock: quantity(oldest.header.number),
    baseFeePerGas: [
      ...blocks.map((block) => quantity(block.header.baseFeePerGas ?? 0n)),
      quantity(chain.rules.nextBaseFee(newest.header) ?? 0n),
    ],
    gasUsedRatio: blocks.map(({ header }) => Number(header.gasUsed) / Number(header.gasLimit)),
    baseFeePerBlobGas: [
      ...blocks.map(({ header }) => quantity(chain.rules.blobBaseFee(header))),
      quantity(chain.rules.nextBlobBaseFee(newest.header)),
    ],
    blobGasUsedRatio: blocks.map(({ header }) => {
      const max = chain.rules.blobGasMax(header)
      return max ? Number(header.blobGasUsed ?? 0n) / Number(max) : 0
    }),
    ...(percentiles.length
      ? { reward: blocks.map((block) => rewards(chain, block, percentiles).map(quantity)) }
      : {}),
  }
}

type Offer = { readonly tip: bigint; readonly gas: bigint }

/** Tips paid, lowest first. */
function offersIn(receipts: readonly Receipt[], baseFee: bigint): Offer[] {
  return receipts
    .filter((receipt) => receipt.type !== DEPOSIT_TYPE)
    .map(({ effectiveGasPrice, gasUsed }) => ({ tip: effectiveGasPrice - baseFee, gas: gasUsed }))
    .sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0))
}

/** Tip below which each percentage of the block's gas was bought. */
function rewards(chain: RpcChain, block: Block, percentiles: readonly number[]): bigint[] {
  const offers = offersIn(receiptsOf(chain, block), block.header.baseFeePerGas ?? 0n)
  const total = offers.reduce((sum, { gas }) => sum + gas, 0n)
  return percentiles.map((percentile) => {
    const threshold = (total * BigInt(Math.round(percentile * 1e6))) / 100_000_000n
    let sum = 0n
    for (const { tip, gas } of offers) {
      sum += gas
      if (sum >= threshold) return tip
    }
    return 0n
  })
}
