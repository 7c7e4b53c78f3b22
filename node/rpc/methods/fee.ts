/** Gas prices and their history. */
import { mustFindBlock } from '../blocks.ts'
import { invalidParams } from '../errors.ts'
import { feeHistory, nextBaseFeeOf, suggestGasPrice, suggestTip } from '../fees.ts'
import { quantity } from '../format.ts'
import { method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, blockNumber, count, list, optional, required, schemas } from '../params.ts'
import { feeHistory as feeHistoryResult } from '../results/ethereum.ts'

const percentile: ValueType<number> = {
  schema: { type: 'number', minimum: 0, maximum: 100 },
  parse: (value) => {
    if (typeof value !== 'number' || !(value >= 0 && value <= 100)) {
      throw bad('a percentile from 0 to 100', value)
    }
    return value
  },
}

/** What is read before the limit in force is named. */
const PERCENTILES_READ_MAX = 10_000

export const feeMethods: RpcMethods = {
  eth_gasPrice: method({
    summary: 'Gas price for legacy transactions: next base fee and suggested tip, wei',
    params: [],
    result: schemas.quantity,
    handler: ({ chain, options }) => quantity(suggestGasPrice(chain, options)),
  }),
  eth_maxPriorityFeePerGas: method({
    summary: 'Suggested tip, wei per gas',
    params: [],
    result: schemas.quantity,
    handler: ({ chain, options }) => quantity(suggestTip(chain, options)),
  }),
  eth_baseFee: method({
    summary: 'Base fee of the next block, wei per gas',
    params: [],
    result: schemas.quantity,
    handler: ({ chain }) => quantity(nextBaseFeeOf(chain)),
  }),
  eth_blobBaseFee: method({
    summary: 'Base fee of blob gas, wei; always 1 on L2: its blocks carry no blobs',
    params: [],
    result: schemas.quantity,
    handler: ({ chain }) => quantity(chain.rules.blobBaseFee(chain.head('unsafe'))),
  }),
  eth_feeHistory: method({
    summary: 'Base fees, fullness and tips of a range of blocks',
    params: [
      required('blockCount', count),
      required('newestBlock', blockNumber),
      optional('rewardPercentiles', list(percentile, PERCENTILES_READ_MAX), []),
    ],
    result: feeHistoryResult,
    handler: ({ chain, options }, [blockCount, newest, percentiles]) => {
      if (percentiles.length > options.feePercentilesMax) {
        const most = `at most ${options.feePercentilesMax}`
        throw invalidParams(`${percentiles.length} reward percentiles, ${most}`)
      }
      const unsorted = percentiles.findIndex((p, i) => i > 0 && p < (percentiles[i - 1] ?? 0))
      if (unsorted > 0) {
        throw invalidParams(
          `reward percentiles must rise: ${percentiles[unsorted]} stands too late`,
        )
      }
      if (blockCount === 0) return { oldestBlock: '0x0', baseFeePerGas: [], gasUsedRatio: [] }
      const last = mustFindBlock(chain, newest).header.number
      const wanted = BigInt(Math.min(blockCount, options.feeHistoryBlocksMax))
      const oldest = chain.genesis.header.number
      const first = last - wanted + 1n < oldest ? oldest : last - wanted + 1n
      const blocks = Array.from({ length: Number(last - first) + 1 }, (_, i) =>
        mustFindBlock(chain, { kind: 'number', number: first + BigInt(i) }),
      )
      return feeHistory(chain, blocks, percentiles)
    },
  }),
}
