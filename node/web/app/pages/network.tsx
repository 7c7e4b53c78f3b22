/** /network: how this node and the chain do: peers, heads and lag, what batches cost, what validators say. */

import { Sparkline } from '../chart/bars.tsx'
import { Card, Fact, Facts, Page, Stat, Stats } from '../components/layout.tsx'
import { VerdictBadge } from '../components/receipts.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Badge, BlockLink, Copy, Hash } from '../components/value.tsx'
import { useBlocks } from '../lib/blocks.ts'
import { chainConfig } from '../lib/chain-config.ts'
import { duration, gwei, integer } from '../lib/format.ts'
import { useCall, useNow, useQuery } from '../lib/hooks.ts'
import { originOf } from '../lib/l1-origin.ts'
import type { BatchView, ReceiptView, SyncStatus, TransactionJson } from '../lib/types.ts'

const PEERS_POLL_MS = 5_000
const BLOCKS = 60
const VERDICTS = 20

export default function Network() {
  return (
    <Page title="Network" lead="How this node and its chain do, as this node sees it.">
      <Heads />
      <div class="columns">
        <Node />
        <Batches />
      </div>
      <Verdicts />
      <Peers />
    </Page>
  )
}

function Heads() {
  const status = useCall<SyncStatus>('optimism_syncStatus', [], 'block')
  const blocks = useBlocks(null, BLOCKS)
  const now = useNow()
  const data = status.data
  const behind = (head: 'safe_l2' | 'finalized_l2'): string =>
    data ? `${duration((data.unsafe_l2.timestamp - data[head].timestamp) * 1000)} behind` : ''
  const gas = (blocks.data ?? []).map(({ gasUsed }) => Number(gasUsed)).reverse()
  const base = blocks.data?.[0]?.baseFeePerGas
  return (
    <Stats>
      <Stat
        label="Newest block"
        note={data ? `${duration(now - data.unsafe_l2.timestamp * 1000)} old` : ''}
      >
        {data ? integer(data.unsafe_l2.number) : '–'}
      </Stat>
      <Stat label="Safe" note={behind('safe_l2')}>
        {data ? integer(data.safe_l2.number) : '–'}
      </Stat>
      <Stat label="Finalized" note={behind('finalized_l2')}>
        {data ? integer(data.finalized_l2.number) : '–'}
      </Stat>
      <Stat label="L1 read up to" note={data ? `of ${integer(data.head_l1.number)}` : ''}>
        {data ? integer(data.current_l1.number) : '–'}
      </Stat>
      <Stat label="Base fee" note="per gas">
        {base ? gwei(base) : '–'}
      </Stat>
      <Stat
        label={`Gas of the last ${BLOCKS} blocks`}
        note={`most ${integer(Math.max(0, ...gas))}`}
      >
        <Sparkline label="Gas used by block" values={gas} />
      </Stat>
    </Stats>
  )
}

type NodeInfo = {
  readonly role: string
  readonly simd: string
  readonly threads: number
  readonly cuda: boolean
  readonly baseModel: {
    readonly name: string
    readonly precision: string
    readonly licence: string
  }
  readonly provider: string | null
  readonly p2p: readonly string[]
  readonly peers: readonly { readonly peer: string; readonly address: string }[]
}

function Node() {
  const info = useCall<NodeInfo>('openledger_nodeInfo', [], PEERS_POLL_MS)
  const version = useCall<string>('web3_clientVersion')
  const config = useQuery('chain config', chainConfig)
  return (
    <Card title="This node" more={version.data}>
      <Show of={info} rows={6} what="node">
        {(data) => (
          <Facts>
            <Fact label="Role">
              <Badge tone="accent">{data.role}</Badge>
            </Fact>
            <Fact label="Chain">
              {config.data ? `${config.data.l2ChainId} on L1 ${config.data.l1ChainId}` : '–'}
            </Fact>
            <Fact label="Portal on L1">
              {config.data ? <Hash value={config.data.portal} kind="plain" copy /> : '–'}
            </Fact>
            <Fact label="Engine">
              {data.simd}, {data.threads} threads, {data.cuda ? 'CUDA' : 'no GPU'}
            </Fact>
            <Fact label="Base model">
              {data.baseModel.name}, {data.baseModel.precision}, {data.baseModel.licence}
            </Fact>
            <Fact label="Serves models as">
              {data.provider ? <Address value={data.provider} /> : 'serves none'}
            </Fact>
            {data.p2p.map((address) => (
              <Fact key={address} label="Address for peers">
                <code class="wrap">{address}</code> <Copy text={address} what="address" />
              </Fact>
            ))}
          </Facts>
        )}
      </Show>
    </Card>
  )
}

/** What data on L1 costs by the newest L1 attributes, and how batches go. */
function Batches() {
  const batches = useCall<BatchView[]>('openledger_listBatches', [], 'block')
  const first = useCall<TransactionJson | null>(
    'eth_getTransactionByBlockNumberAndIndex',
    ['latest', '0x0'],
    'block',
  )
  const fees = feesOf(first.data ?? undefined)
  const last = batches.data?.[0]
  const posted = batches.data ?? []
  const blocks = posted.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  return (
    <Card title="Data on L1" more={<a href="/batches">Batches</a>}>
      <Facts>
        <Fact label="L1 base fee">{fees ? gwei(fees.baseFee) : '–'}</Fact>
        <Fact label="L1 blob base fee">{fees ? gwei(fees.blobBaseFee) : '–'}</Fact>
        <Fact label="L1 origin">
          {first.data ? integer(originOf(first.data)?.number ?? 0) : '–'}
        </Fact>
        <Fact label="Newest batch">
          {last ? (
            <>
              blocks <BlockLink number={last.from} /> – <BlockLink number={last.to} /> in L1 block{' '}
              {integer(last.l1Block.number)}
            </>
          ) : batches.error ? (
            'this node posts none'
          ) : (
            '–'
          )}
        </Fact>
        {posted.length > 0 ? (
          <Fact label="Blocks per batch">
            {(blocks / posted.length).toFixed(1)} over {integer(posted.length)} L1 transactions
          </Fact>
        ) : null}
        {posted.length > 0 && fees ? (
          <Fact label="A blob at that fee">
            {/* EIP-4844: a blob is 131,072 gas. */}
            <span class="num">{gwei(fees.blobBaseFee * 131_072n)}</span>{' '}
            <span class="muted">of ether on L1</span>
          </Fact>
        ) : null}
      </Facts>
    </Card>
  )
}

/** Base fee and blob base fee of the origin, wei (Isthmus layout). */
function feesOf(tx: TransactionJson | undefined): { baseFee: bigint; blobBaseFee: bigint } | null {
  if (!tx || !originOf(tx)) return null
  const word = (at: number): bigint => BigInt(`0x${tx.input.slice(2 + at * 2, 2 + (at + 32) * 2)}`)
  return { baseFee: word(36), blobBaseFee: word(68) }
}

function Verdicts() {
  const receipts = useCall<ReceiptView[]>('openledger_listReceipts', [VERDICTS], 'block')
  const rows = (receipts.data ?? []).filter(({ verdict }) => verdict !== null)
  return (
    <Card title="Validators’ verdicts" more="on the newest receipts" flush>
      <Show of={receipts} rows={4} what="verdicts">
        {() =>
          rows.length === 0 ? (
            <Empty title="No receipt has been judged yet" />
          ) : (
            <Table
              caption="Verdicts, newest first"
              rows={rows}
              rowKey={({ receiptHash }) => receiptHash}
              columns={[
                {
                  head: 'Receipt',
                  cell: ({ receiptHash }) => <Hash value={receiptHash} kind="receipt" />,
                },
                { head: 'Verdict', cell: ({ verdict }) => <VerdictBadge verdict={verdict} /> },
                {
                  head: 'Validator',
                  cell: ({ verdict }) => (verdict ? <Address value={verdict.validator} /> : null),
                },
                {
                  head: 'Block',
                  align: 'right',
                  cell: ({ block }) => <BlockLink number={block.number} />,
                },
                {
                  head: 'Difference',
                  narrow: false,
                  cell: ({ verdict }) =>
                    verdict?.difference
                      ? `${verdict.difference.stage} ${verdict.difference.field}`
                      : 'none',
                },
              ]}
            />
          )
        }
      </Show>
    </Card>
  )
}

function Peers() {
  const info = useCall<NodeInfo>('openledger_nodeInfo', [], PEERS_POLL_MS)
  return (
    <Card title="Peers" more={info.data ? integer(info.data.peers.length) : undefined} flush>
      <Show of={info} rows={2} what="peers">
        {({ peers }) =>
          peers.length === 0 ? (
            <Empty title="No peers" icon="network">
              Blocks still come from L1. Name peers with --peers.
            </Empty>
          ) : (
            <Table
              caption="Peers"
              rows={peers}
              rowKey={({ peer }) => peer}
              columns={[
                { head: 'Peer', cell: ({ peer }) => <Hash value={peer} kind="plain" copy /> },
                {
                  head: 'Address',
                  cell: ({ address }) => <code class="wrap">{address.split('/p2p/')[0]}</code>,
                },
              ]}
            />
          )
        }
      </Show>
    </Card>
  )
}
