/** The first page: what the chain is doing now. Newest blocks and receipts, the heads from proposed to final. */

import { BlockTable } from '../components/blocks.tsx'
import { Card, Page, Stat, Stats } from '../components/layout.tsx'
import { ReceiptTable } from '../components/receipts.tsx'
import { Show } from '../components/state.tsx'
import { useBlocks } from '../lib/blocks.ts'
import { integer } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import type { ReceiptView, SyncStatus } from '../lib/types.ts'

const ROWS = 8

export default function Overview() {
  const blocks = useBlocks(null, ROWS)
  const receipts = useCall<ReceiptView[]>('openledger_listReceipts', [ROWS], 'block')
  return (
    <Page
      title="Every answer pays the people behind it"
      lead="Models here answer questions for a fee. Each answer yields a receipt, each receipt pays the people whose data shaped the answer, and anybody can check every number from Ethereum alone."
    >
      <Heads />
      <div class="columns">
        <Card title="Newest receipts" more={<a href="/receipts">All receipts</a>} flush>
          <Show of={receipts} rows={ROWS} what="receipts">
            {(rows) => <ReceiptTable rows={rows} brief />}
          </Show>
        </Card>
        <Card title="Newest blocks" more={<a href="/blocks">All blocks</a>} flush>
          <Show of={blocks} rows={ROWS} what="blocks">
            {(rows) => <BlockTable rows={rows} brief />}
          </Show>
        </Card>
      </div>
    </Page>
  )
}

function Heads() {
  const { data } = useCall<SyncStatus>('optimism_syncStatus', [], 'block')
  const number = (ref: { number: number } | undefined): string => (ref ? integer(ref.number) : '–')
  return (
    <Stats>
      <Stat label="Newest block" note="signed by the sequencer">
        {number(data?.unsafe_l2)}
      </Stat>
      <Stat label="Safe" note="derived from data on L1">
        {number(data?.safe_l2)}
      </Stat>
      <Stat label="Finalized" note="its L1 block is final">
        {number(data?.finalized_l2)}
      </Stat>
      <Stat label="L1 block" note="newest seen">
        {number(data?.head_l1)}
      </Stat>
    </Stats>
  )
}
