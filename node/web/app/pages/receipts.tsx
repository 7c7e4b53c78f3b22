/** /receipts: every settled inference, newest first, as they settle. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page } from '../components/layout.tsx'
import { ReceiptTable } from '../components/receipts.tsx'
import { Empty, Show } from '../components/state.tsx'
import { useCall } from '../lib/hooks.ts'
import type { ReceiptView } from '../lib/types.ts'

const ROWS = 50

export default function Receipts() {
  const receipts = useCall<ReceiptView[]>('openledger_listReceipts', [ROWS], 'block')
  return (
    <Page
      title="Receipts"
      lead="An answer, its price, and whom it paid. A validator reads each from L1, runs the inference again and compares byte for byte."
    >
      <ExplorerNav />
      <Card flush>
        <Show
          of={receipts}
          rows={8}
          what="receipts"
          empty={<Empty title="No question was answered yet">Ask one in the playground.</Empty>}
        >
          {(rows) => <ReceiptTable rows={rows} />}
        </Show>
      </Card>
    </Page>
  )
}
