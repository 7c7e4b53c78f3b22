/**
 * openledger_subscribe over WebSocket: settled receipts, one account's rewards, training jobs. Limits and the rule for
 * slow readers are those of eth_subscribe (`session.ts`, `websocket.ts`). What a reorg takes back comes again with
 * `removed: true`.
 */
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import type { SettledReceipt } from '../../attribution/settled.ts'
import type { Hex } from '../../base/bytes.ts'
import type { JobRecord } from '../../factory/job.ts'
import { invalidParams } from '../errors.ts'
import { type Json, type JsonObject, type RpcMethods, sessionMethod } from '../method.ts'
import { address, oneOf, optional, required } from '../params.ts'
import { filterId } from './logs.ts'
import { unsubscribe } from './subscribe.ts'

const KINDS = ['receipts', 'rewards', 'jobs'] as const
type Kind = (typeof KINDS)[number]
type Push = (result: Json) => void

export type SubscriptionSources = {
  readonly ledger: Pick<ReceiptLedger, 'follow'>
  /** Null where no jobs run. */
  readonly onJob: ((listener: (job: JobRecord) => void) => () => void) | null
  readonly receiptView: (settled: SettledReceipt) => JsonObject
  readonly jobView: (job: JobRecord) => JsonObject
}

export function openledgerSubscribeMethods(sources: SubscriptionSources): RpcMethods {
  return {
    openledger_subscribe: sessionMethod({
      summary:
        'Pushes settled receipts, the rewards they pay to one account, or training jobs to this connection',
      params: [required('kind', oneOf(KINDS)), optional('account', address, undefined)],
      result: filterId.schema,
      handler: (_context, [kind, account], session) => {
        if (kind === 'rewards' && !account) {
          throw invalidParams('missing argument 1 (account): rewards are those of one account')
        }
        return session.subscribe(starterOf(kind, account, sources), 'openledger_subscription')
      },
    }),
    openledger_unsubscribe: unsubscribe,
  }
}

function starterOf(kind: Kind, account: Hex | undefined, sources: SubscriptionSources) {
  const { ledger, onJob, jobView, receiptView } = sources
  switch (kind) {
    case 'receipts':
      return (push: Push) =>
        ledger.follow((settled, removed) => push({ ...receiptView(settled), removed }))
    case 'rewards':
      return (push: Push) =>
        ledger.follow((settled, removed) => {
          for (const { amount, index } of settled.contributors.filter((c) => c.account === account))
            push({
              account: account as Hex,
              receiptHash: settled.hash,
              index,
              amount: amount.toString(),
              block: { number: Number(settled.block.number), hash: settled.block.hash },
              removed,
            })
        })
    case 'jobs':
      if (!onJob) throw invalidParams('this node runs no jobs: ask a provider')
      return (push: Push) => onJob((job) => push(jobView(job)))
  }
}
