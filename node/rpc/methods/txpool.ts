/** What waits in the mempool. */
import type { Hex } from '../../base/bytes.ts'
import type { SignedTx } from '../../chain/tx.ts'
import type { RpcContext } from '../context.ts'
import { checksumAddress, pendingObject, quantity } from '../format.ts'
import { type Json, type JsonObject, method, type RpcMethods } from '../method.ts'
import { address, required } from '../params.ts'
import * as shapes from '../results/ethereum.ts'

export const txpoolMethods: RpcMethods = {
  txpool_status: method({
    summary: 'How many transactions can run now, and how many wait for an earlier nonce',
    params: [],
    result: shapes.poolStatus,
    handler: ({ pool }) => {
      const { pending, queued } = pool?.status() ?? { pending: 0, queued: 0 }
      return { pending: quantity(pending), queued: quantity(queued) }
    },
  }),
  txpool_content: method({
    summary: 'Every waiting transaction, by sender and nonce',
    params: [],
    result: shapes.poolContent,
    handler: (context) => contentOf(context, pendingObject),
  }),
  txpool_inspect: method({
    summary: 'Every waiting transaction as a line of text',
    params: [],
    result: shapes.poolLines,
    handler: (context) => contentOf(context, lineOf),
  }),
  txpool_contentFrom: method({
    summary: 'The waiting transactions of one sender, by nonce',
    params: [required('address', address)],
    result: shapes.poolContentFrom,
    handler: ({ pool }, [sender]) => {
      const content = pool?.content()
      return {
        pending: byNonce(content?.pending.get(sender) ?? [], pendingObject),
        queued: byNonce(content?.queued.get(sender) ?? [], pendingObject),
      }
    },
  }),
}

function contentOf({ pool }: RpcContext, show: (tx: SignedTx) => Json): JsonObject {
  const content = pool?.content()
  const bySender = (map: ReadonlyMap<Hex, readonly SignedTx[]> | undefined): JsonObject =>
    Object.fromEntries(
      [...(map ?? [])].map(([sender, txs]) => [checksumAddress(sender), byNonce(txs, show)]),
    )
  return { pending: bySender(content?.pending), queued: bySender(content?.queued) }
}

function byNonce(txs: readonly SignedTx[], show: (tx: SignedTx) => Json): JsonObject {
  return Object.fromEntries(txs.map((tx) => [tx.nonce.toString(), show(tx)]))
}

function lineOf(tx: SignedTx): string {
  const target = tx.to === null ? 'contract creation' : checksumAddress(tx.to)
  return `${target}: ${tx.value} wei + ${tx.gasLimit} gas × ${tx.maxFeePerGas} wei`
}
