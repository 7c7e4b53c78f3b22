/** /batches: the L1 transactions that carry this chain's blocks, and their blobs. */
import { ExplorerNav } from '../components/explorer-nav.tsx'
import { Card, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Badge, BlockLink, Hash } from '../components/value.tsx'
import { integer } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { RpcError } from '../lib/rpc.ts'
import type { BatchView } from '../lib/types.ts'

const METHOD_UNKNOWN = -32601
const ROWS = 100

export default function Batches() {
  const batches = useCall<BatchView[]>('openledger_listBatches', [], 'block')
  const { error } = batches
  const follower = error instanceof RpcError && error.code === METHOD_UNKNOWN
  return (
    <Page
      title="Batches"
      lead="Every block's data goes to Ethereum, mostly in blobs. Whoever reads them there derives this chain and arrives at the same state."
    >
      <ExplorerNav />
      {follower ? (
        <Card>
          <Empty title="This node posts no batches">
            It derives them from L1. The sequencer's page lists what it posted.
          </Empty>
        </Card>
      ) : (
        <>
          {batches.data ? <Summary batches={batches.data} /> : null}
          <Card flush>
            <Show
              of={batches}
              rows={8}
              what="batches"
              empty={<Empty title="No batch was posted since this sequencer started" />}
            >
              {(rows) => <BatchTable rows={rows.slice(0, ROWS)} />}
            </Show>
          </Card>
        </>
      )}
    </Page>
  )
}

function Summary({ batches }: { batches: readonly BatchView[] }) {
  const blocks = batches.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const blobs = batches.reduce((sum, { versionedHashes }) => sum + versionedHashes.length, 0)
  return (
    <Stats>
      <Stat label="L1 transactions" note="since this sequencer started">
        {integer(batches.length)}
      </Stat>
      <Stat label="Blocks posted">{integer(blocks)}</Stat>
      <Stat label="Blobs">{integer(blobs)}</Stat>
      <Stat label="Blocks per transaction">
        {batches.length ? (blocks / batches.length).toFixed(1) : '–'}
      </Stat>
    </Stats>
  )
}

function BatchTable({ rows }: { rows: readonly BatchView[] }) {
  return (
    <Table
      caption="Batches, newest first"
      rows={rows}
      rowKey={({ transactionHash }) => transactionHash}
      columns={[
        {
          head: 'L1 transaction',
          cell: ({ transactionHash }) => <Hash value={transactionHash} kind="plain" copy />,
        },
        { head: 'L1 block', align: 'right', cell: ({ l1Block }) => integer(l1Block.number) },
        {
          head: 'Blocks',
          align: 'right',
          cell: ({ from, to }) => (
            <span class="nowrap">
              <BlockLink number={from} /> – <BlockLink number={to} />
            </span>
          ),
        },
        { head: 'In', cell: ({ kind }) => <Badge>{kind}</Badge> },
        {
          head: 'Versioned hashes',
          cell: ({ versionedHashes }) => (
            <span class="ref-list">
              {versionedHashes.map((hash) => (
                <Hash key={hash} value={hash} kind="plain" copy />
              ))}
            </span>
          ),
        },
      ]}
    />
  )
}
