/** openledger_tracePayout: what an account accrued in an epoch, back to receipts, rows and transactions, with proofs. */

import type { RowsOfModel } from '../../attribution/earning-rows.ts'
import { decodeLeaves } from '../../attribution/leaves.ts'
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import type { PayoutIndex } from '../../attribution/payouts.ts'
import { type PostedOutput, tracePayout } from '../../attribution/trace-payout.ts'
import { type Hex, ZERO_HASH } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { Chain } from '../../chain/chain.ts'
import { placeOf, type RowPlaces } from '../../factory/places.ts'
import { readReport } from '../../factory/report.ts'
import type { ModelServices } from '../../model/services.ts'
import { COST, method, type RpcMethods } from '../method.ts'
import { address, count, required } from '../params.ts'
import { payoutTrace } from '../results/openledger.ts'
import { plain } from './plain.ts'

export type PayoutServices = {
  readonly chain: Chain
  readonly ledger: Pick<ReceiptLedger, 'get' | 'settled'>
  readonly payouts: PayoutIndex
  readonly models: Pick<ModelServices, 'registry' | 'library' | 'readContent'>
  readonly places: RowPlaces
  posted(): Promise<readonly PostedOutput[]>
}

export function tracePayoutMethods(services: PayoutServices): RpcMethods {
  return {
    openledger_tracePayout: method({
      summary:
        'What an account accrued in an epoch, back to receipts, rows and transactions, each with a proof up to an output root of L1',
      params: [required('account', address), required('epoch', count)],
      result: payoutTrace,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [account, epoch]) =>
        plain(
          await tracePayout(account, BigInt(epoch), {
            ...services,
            rows: (modelId) => rowsOfModel(modelId, services),
          }),
        ),
    }),
  }
}

/** What cannot be had now is left out: the wei are proven without it. */
export async function rowsOfModel(
  modelId: Hex,
  { models, places }: Pick<PayoutServices, 'models' | 'places'>,
): Promise<RowsOfModel> {
  const { registry, library } = models
  const read = (hash: Hex): Promise<Uint8Array> => models.readContent(hash)
  const record = await registry.model(modelId)
  if (!record) return { corpus: null, leaves: null, place: () => null }
  const [corpus, leaves, rows] = await Promise.all([
    orNull(async () => (await library.load(record)).corpus),
    orNull(async () => {
      const result = await registry.jobResult(record.manifestHash)
      if (result === ZERO_HASH) return null
      return decodeLeaves(await read((await readReport(result, read)).leavesHash))
    }),
    orNull(() => places.of(record.manifestHash)),
  ])
  return {
    corpus,
    leaves,
    place: (row) => {
      const found = rows?.[row]
      return found ? placeOf(found) : null
    },
  }
}

async function orNull<T>(work: () => Promise<T | null>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof NodeError) return null
    throw error
  }
}
