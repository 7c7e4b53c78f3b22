/**
 * openledger_* about one receipt's attribution: a proof of a share, the split once more from this node's own state, and
 * what another policy would have paid.
 */
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import type { SettledReceipt } from '../../attribution/settled.ts'
import { proveShare } from '../../attribution/share-proof.ts'
import { userError } from '../../base/errors.ts'
import type { Registry } from '../../model/registry.ts'
import { type JsonObject, method, type RpcMethods } from '../method.ts'
import { address, count, hash, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { nullable } from '../results/shape.ts'

export type AttributionServices = {
  readonly ledger: ReceiptLedger
  readonly models: { readonly registry: Registry }
}

export function attributionMethods({ ledger, models }: AttributionServices): RpcMethods {
  const { registry } = models
  const find = async (receiptHash: SettledReceipt['hash']): Promise<SettledReceipt> => {
    await ledger.settled()
    const settled = await ledger.get(receiptHash)
    if (settled) return settled
    throw userError('receipt-unknown', `no receipt ${receiptHash} is settled here`)
  }
  return {
    openledger_getAttributionProof: method({
      summary:
        "A contributor's share of a receipt with the path to its attribution root; null when it has none",
      params: [required('receiptHash', hash), required('account', address)],
      result: nullable(shapes.attributionProof),
      handler: async (_context, [receiptHash, account]) => {
        const settled = await find(receiptHash)
        const proof = proveShare(settled.contributors, account)
        return proof && { receiptHash, attributionRoot: settled.receipt.attributionRoot, ...proof }
      },
    }),
    openledger_verifyReceipt: method({
      summary:
        "A receipt's attribution and payouts again, from the state of the block that settled it",
      params: [required('receiptHash', hash)],
      result: shapes.receiptCheck,
      handler: async (_context, [receiptHash]) => {
        const settled = await find(receiptHash)
        const { receipt, contributors, shares, block } = settled
        const found = await registry.share(
          settled,
          receipt.policyId,
          shares.contributors,
          block.hash,
        )
        const first = found.accounts.findIndex((account, i) => {
          const claimed = contributors[i]
          return claimed?.account !== account || claimed.amount !== found.amounts[i]
        })
        const sameRoot = found.attributionRoot === receipt.attributionRoot
        const ok = sameRoot && first < 0 && contributors.length === found.accounts.length
        return { receiptHash, ok, attributionRoot: found.attributionRoot, firstDifference: first }
      },
    }),
    openledger_simulateSplit: method({
      summary: 'What a settled receipt would pay under another policy, wei; nothing changes',
      params: [required('receiptHash', hash), required('policyId', count)],
      result: shapes.simulatedSplit,
      handler: async (_context, [receiptHash, policyId]): Promise<JsonObject> => {
        const settled = await find(receiptHash)
        const shares = await registry.splitOf(policyId, settled.receipt.fee)
        const { accounts, amounts } = await registry.share(settled, policyId, shares.contributors)
        return {
          platform: shares.platform.toString(),
          modelOwner: shares.modelOwner.toString(),
          stakers: shares.stakers.toString(),
          contributors: accounts.map((account, i) => ({ account, amount: String(amounts[i]) })),
          unattributed: accounts.length === 0 ? shares.contributors.toString() : '0',
        }
      },
    }),
  }
}
