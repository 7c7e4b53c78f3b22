/** /block/:id: one block by number or hash: how final it is, where on L1 it comes from and went, its transactions. */
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { TransactionTable } from '../components/transactions.tsx'
import { Address, Age, Badge, Hash } from '../components/value.tsx'
import { bytes, dateTime, gwei, integer, percent } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { originOf } from '../lib/l1-origin.ts'
import type { BatchView, SyncStatus, WithTransactions } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'

export default function Block({ params }: PageProps) {
  const { id = '' } = params
  const byHash = /^0x[0-9a-fA-F]{64}$/.test(id)
  const number = /^\d{1,15}$/.test(id) ? Number(id) : null
  const block = useCall<WithTransactions | null>(
    byHash ? 'eth_getBlockByHash' : 'eth_getBlockByNumber',
    byHash ? [id, true] : number === null ? null : [`0x${number.toString(16)}`, true],
    // A block that is to come appears by itself.
    'block',
  )
  const shown = block.data ? Number(block.data.number) : number
  return (
    <Page
      title={shown === null ? 'Block' : `Block ${integer(shown)}`}
      crumb={{ href: '/blocks', text: 'Blocks' }}
      actions={shown === null ? undefined : <Neighbours number={shown} />}
    >
      {number === null && !byHash ? (
        <Empty title={`'${id}' is no block`}>A number, or a hash of 0x and 64 digits.</Empty>
      ) : (
        <Show
          of={block}
          rows={8}
          what="block"
          empty={<Empty title="There is no such block yet">It appears here when it comes.</Empty>}
        >
          {(data) => <Details block={data} />}
        </Show>
      )}
    </Page>
  )
}

function Neighbours({ number }: { number: number }) {
  return (
    <>
      {number > 0 ? (
        <a class="button quiet" href={`/block/${number - 1}`}>
          Previous
        </a>
      ) : null}
      <a class="button quiet" href={`/block/${number + 1}`}>
        Next
      </a>
    </>
  )
}

function Details({ block }: { block: WithTransactions }) {
  const { transactions, timestamp } = block
  const origin = originOf(transactions[0])
  const gas = Number(block.gasUsed) / Number(block.gasLimit)
  return (
    <>
      <Card>
        <Facts>
          <Fact label="Finality">
            <Finality number={Number(block.number)} />
          </Fact>
          <Fact label="Time">
            {dateTime(Number(timestamp))} (<Age at={Number(timestamp)} />)
          </Fact>
          <Fact label="L1 origin">
            {origin ? (
              <>
                <span class="num">block {integer(origin.number)}</span>{' '}
                <Hash value={origin.hash} kind="plain" copy />
              </>
            ) : (
              'genesis'
            )}
          </Fact>
          <Fact label="Gas">
            <span class="num">
              {integer(block.gasUsed)} of {integer(block.gasLimit)} ({percent(gas, 2)})
            </span>
          </Fact>
          <Fact label="Base fee">{gwei(block.baseFeePerGas)}</Fact>
          <Fact label="Size">{bytes(Number(block.size))}</Fact>
          <Fact label="Fees to">
            <Address value={block.miner} />
          </Fact>
          <Fact label="Hash">
            <Hash value={block.hash} kind="plain" full copy />
          </Fact>
          <Fact label="Parent">
            <Hash value={block.parentHash} kind="block" full />
          </Fact>
          <Fact label="State root">
            <Hash value={block.stateRoot} kind="plain" full copy />
          </Fact>
          {block.withdrawalsRoot ? (
            <Fact label="Withdrawals root">
              <Hash value={block.withdrawalsRoot} kind="plain" full copy />
            </Fact>
          ) : null}
        </Facts>
      </Card>
      <Card title="Transactions" more={integer(transactions.length)} flush>
        <TransactionTable
          inBlock
          rows={transactions.map((tx) => ({ tx, timestamp: Number(timestamp) }))}
        />
      </Card>
    </>
  )
}

/** From the sequencer's word to final on L1, and the batch that carries it where this node knows. */
function Finality({ number }: { number: number }) {
  const { data } = useCall<SyncStatus>('optimism_syncStatus', [], 'block')
  const batches = useCall<BatchView[]>('openledger_listBatches', [], 'block')
  const batch = batches.data?.find(({ from, to }) => from <= number && number <= to)
  if (!data) return null
  const is =
    number <= data.finalized_l2.number
      ? ({ tone: 'good', text: 'finalized', why: 'its L1 block is final' } as const)
      : number <= data.safe_l2.number
        ? ({ tone: 'good', text: 'safe', why: 'derived from data on L1' } as const)
        : ({ tone: 'warn', text: 'unsafe', why: 'signed by the sequencer, not on L1 yet' } as const)
  return (
    <>
      <Badge tone={is.tone}>{is.text}</Badge> <span class="muted">{is.why}</span>
      {batch ? (
        <>
          {' '}
          in{' '}
          <a href={`/batches#${batch.transactionHash}`}>
            the batch of L1 block {integer(batch.l1Block.number)}
          </a>
        </>
      ) : null}
    </>
  )
}
