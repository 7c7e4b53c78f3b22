/** /rewards: what an account's data earned, over time, by answer and by model; claiming it; the figures as a file. */
import type { ComponentChildren } from 'preact'
import { lazy, Suspense } from 'preact/compat'
import { useMemo } from 'preact/hooks'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { RewardDistributor } from '../../../../genesis/contracts.generated.ts'
import { Card, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Loading, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Amount, BlockLink, Hash } from '../components/value.tsx'
import type { Earning } from '../lib/earnings.ts'
import { age, counted, exactOpen, integer, percent } from '../lib/format.ts'
import { useCall, useHead, useNow, useQuery, useSubscription } from '../lib/hooks.ts'
import { call } from '../lib/rpc.ts'
import { toast } from '../lib/toast.ts'
import type { Hex } from '../lib/types.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { ActionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

const LineChart = lazy(() => import('../chart/line-chart.tsx'))

export default function RewardsPage() {
  const wallet = useWallet()
  return (
    <Page
      title="Rewards"
      lead="What models that learnt from your rows paid you, receipt by receipt."
    >
      {wallet ? (
        <Rewards account={wallet.address} />
      ) : (
        <Card>
          <NeedsWallet to="see what your data earned" />
        </Card>
      )}
    </Page>
  )
}

const DISTRIBUTOR = { address: OPENLEDGER.rewardDistributor, abi: RewardDistributor.abi }
type Pending = { readonly pending: string; readonly claimable: string }
type Model = { readonly id: Hex; readonly name: string; readonly datanetIds: readonly string[] }
type Timed = Earning & { readonly at: number }

/** When the newest epoch that holds something can be claimed, seconds; null: nothing is held. */
async function opensAt(account: Hex): Promise<number | null> {
  const { readContract } = await import('../wallet/send.ts')
  const epochs = await readContract<readonly bigint[]>({
    ...DISTRIBUTOR,
    functionName: 'unclaimedEpochs',
    args: [account],
  })
  if (epochs.length === 0) return null
  return Number(
    await readContract<bigint>({
      ...DISTRIBUTOR,
      functionName: 'claimableFrom',
      args: [epochs[0]],
    }),
  )
}

async function timed(account: Hex): Promise<Timed[]> {
  const { earningsOf } = await import('../lib/earnings.ts')
  const all = await earningsOf(account)
  const blocks = [...new Set(all.map(({ block }) => block))]
  const times = new Map(
    await Promise.all(
      blocks.map(async (block): Promise<[number, number]> => {
        const found = await call<{ timestamp: Hex }>(
          'eth_getBlockByNumber',
          `0x${block.toString(16)}`,
          false,
        )
        return [block, Number(found.timestamp)]
      }),
    ),
  )
  return all.map((one) => ({ ...one, at: times.get(one.block) ?? 0 }))
}

function Rewards({ account }: { account: Hex }) {
  const pending = useCall<Pending>('openledger_pendingRewards', [account], 'block')
  const models = useCall<Model[]>('openledger_listModels')
  const earnings = useQuery(`earnings ${account}`, () => timed(account))
  useSubscription('openledger_subscribe', ['rewards', account], earnings.reload)
  const all = earnings.data ?? []
  const total = all.reduce((sum, { amount }) => sum + amount, 0n)
  return (
    <>
      <Stats>
        <Stat label="Earned by data" note={counted(all.length, 'answer')}>
          {earnings.data ? <Amount wei={total} /> : '–'}
        </Stat>
        <Stat label="Not claimed" note="with parts as owner, staker or platform">
          {pending.data ? <Amount wei={pending.data.pending} /> : '–'}
        </Stat>
        <Stat label="To claim now">
          {pending.data ? <Amount wei={pending.data.claimable} /> : '–'}
        </Stat>
      </Stats>
      <Claim account={account} pending={pending.data} onDone={pending.reload} />
      <Show
        of={earnings}
        rows={6}
        what="earnings"
        empty={
          <Card>
            <Empty title="Nothing earned yet" icon="rewards">
              <a href="/datanets">Give rows to a Datanet</a>: you are paid when a model that learnt
              from them answers.
            </Empty>
          </Card>
        }
      >
        {(list) => <Earned list={list} models={models.data ?? []} account={account} />}
      </Show>
    </>
  )
}

function Claim({
  account,
  pending,
  onDone,
}: {
  account: Hex
  pending: Pending | undefined
  onDone: () => void
}) {
  const head = useHead()
  const now = useNow()
  const opens = useQuery(`opens ${account} ${Math.floor((head ?? 0) / 5)}`, () => opensAt(account))
  if (!pending || pending.pending === '0') return null
  const claim = async (stage: (text: string) => void): Promise<void> => {
    const { readContract, waitFor, writeContract } = await import('../wallet/send.ts')
    const epochs = await readContract<readonly bigint[]>({
      ...DISTRIBUTOR,
      functionName: 'unclaimedEpochs',
      args: [account],
    })
    const froms = await Promise.all(
      epochs.map((epoch) =>
        readContract<bigint>({ ...DISTRIBUTOR, functionName: 'claimableFrom', args: [epoch] }),
      ),
    )
    const open = epochs.filter((_, i) => Number(froms[i]) <= Date.now() / 1000)
    if (open.length === 0) throw new Error('No epoch can be claimed yet: wait until it is final.')
    stage('Waiting for the signature…')
    const hash = await writeContract({ ...DISTRIBUTOR, functionName: 'claim', args: [open] })
    stage('On its way…')
    await waitFor(hash)
    toast('good', `${exactOpen(pending.claimable)} OPEN are yours`, `/tx/${hash}`)
    onDone()
  }
  const isOpen = pending.claimable !== '0'
  return (
    <div class="button-row">
      <ActionButton run={claim} disabled={!isOpen}>
        {isOpen ? `Claim ${exactOpen(pending.claimable)} OPEN` : 'Claim'}
      </ActionButton>
      {!isOpen && opens.data ? (
        <p class="muted">
          The first epoch is final {age(opens.data, now)}: until then its receipts can be disputed.
        </p>
      ) : null}
    </div>
  )
}

const NANO = 1e9
const ROWS_SHOWN = 50

function Earned({
  list,
  models,
  account,
}: {
  list: readonly Timed[]
  models: readonly Model[]
  account: Hex
}) {
  const nameOf = (id: Hex): string =>
    models.find((model) => model.id === id)?.name ?? id.slice(0, 10)
  const series = useMemo(() => {
    let sum = 0n
    const points = list.map(({ at, amount }) => {
      sum += amount
      return [at, Number(sum / BigInt(NANO)) / NANO] as const
    })
    return { x: points.map(([at]) => at), values: points.map(([, value]) => value) }
  }, [list])
  return (
    <>
      <Card title="Earned so far" more="OPEN">
        {list.length > 1 ? (
          <Suspense fallback={<Loading rows={6} what="chart" />}>
            <LineChart
              label="Sum of what was earned, in OPEN"
              time
              x={series.x}
              series={[{ label: 'OPEN', values: series.values }]}
            />
          </Suspense>
        ) : (
          <p class="muted">The curve begins with the second answer.</p>
        )}
      </Card>
      <div class="columns">
        <Group
          title="By model"
          list={list}
          keysOf={({ modelId }) => [modelId]}
          link={(id) => <a href={`/model/${id}`}>{nameOf(id as Hex)}</a>}
        />
        <Group
          title="By Datanet"
          list={list}
          keysOf={({ modelId }) =>
            models.find((model) => model.id === modelId)?.datanetIds ?? ['unknown']
          }
          link={(id) => <a href={`/datanet/${id}`}>Datanet {id}</a>}
          note="A model of several Datanets counts for each."
        />
      </div>
      <Card
        title="Answers that paid"
        more={
          <button
            type="button"
            class="button quiet small"
            onClick={() => download(list, nameOf, account)}
          >
            Export CSV
          </button>
        }
        flush
      >
        <Table
          caption="Earnings, newest first"
          rows={list.slice(-ROWS_SHOWN).reverse()}
          rowKey={({ receiptHash }) => receiptHash}
          columns={[
            {
              head: 'Receipt',
              cell: ({ receiptHash }) => <Hash value={receiptHash} kind="receipt" />,
            },
            { head: 'Model', cell: ({ modelId }) => nameOf(modelId) },
            {
              head: 'Share',
              align: 'right',
              cell: ({ weight }) => percent(Number(weight) / 2 ** 32, 2),
            },
            { head: 'Paid', align: 'right', cell: ({ amount }) => <Amount wei={amount} /> },
            {
              head: 'Block',
              align: 'right',
              narrow: false,
              cell: ({ block }) => <BlockLink number={block} />,
            },
            {
              head: 'Where from',
              cell: ({ receiptHash }) => <a href={`/trace/${receiptHash}?to=${account}`}>follow</a>,
            },
          ]}
        />
      </Card>
    </>
  )
}

function Group({
  title,
  list,
  keysOf,
  link,
  note,
}: {
  title: string
  list: readonly Timed[]
  keysOf: (one: Timed) => readonly string[]
  link: (key: string) => ComponentChildren
  note?: string
}) {
  const sums = new Map<string, { key: string; amount: bigint; count: number }>()
  for (const one of list)
    for (const key of keysOf(one)) {
      const { amount, count } = sums.get(key) ?? { amount: 0n, count: 0 }
      sums.set(key, { key, amount: amount + one.amount, count: count + 1 })
    }
  return (
    <Card title={title} more={note} flush>
      <Table
        caption={title}
        rows={[...sums.values()].sort((a, b) => (a.amount < b.amount ? 1 : -1))}
        rowKey={({ key }) => key}
        columns={[
          { head: title === 'By model' ? 'Model' : 'Datanet', cell: ({ key }) => link(key) },
          { head: 'Answers', align: 'right', cell: ({ count }) => integer(count) },
          { head: 'Earned', align: 'right', cell: ({ amount }) => <Amount wei={amount} /> },
        ]}
      />
    </Card>
  )
}

/** Amounts in wei, exact. A name that begins like a formula is made plain text. */
function download(list: readonly Timed[], nameOf: (id: Hex) => string, account: Hex): void {
  const cell = (value: string): string =>
    `"${value.replace(/^[=+\-@\t]/, "'$&").replaceAll('"', '""')}"`
  const lines = list.map((one) =>
    [
      new Date(one.at * 1000).toISOString(),
      one.receiptHash,
      cell(nameOf(one.modelId)),
      one.modelId,
      one.weight,
      one.amount,
      one.block,
      one.transaction,
    ].join(','),
  )
  const head = 'time,receipt,model,model_id,weight_of_2_32,wei,block,transaction'
  const url = URL.createObjectURL(new Blob([[head, ...lines, ''].join('\n')], { type: 'text/csv' }))
  const link = document.createElement('a')
  link.href = url
  link.download = `rewards-${account}.csv`
  link.click()
  URL.revokeObjectURL(url)
}
