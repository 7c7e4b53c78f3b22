/** /address/:address: what an account has, what it is, what it did. */
import { DecodedView } from '../components/decoded.tsx'
import { Card, Fact, Facts, Page, Stat, Stats, Tabs } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { ScanResult } from '../components/transactions.tsx'
import { Amount, Badge, BlockLink, Copy, Hash } from '../components/value.tsx'
import { contractAt } from '../lib/contracts.ts'
import { decodeLog } from '../lib/decode.ts'
import { bytes, integer } from '../lib/format.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import { LOG_BLOCKS, newestLogs } from '../lib/logs.ts'
import { nameOf } from '../lib/names.ts'
import { useScan } from '../lib/scan.ts'
import type { Hex, LogJson } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'

const LOGS_SHOWN = 50

export default function AddressPage({ params }: PageProps) {
  const address = (params.address ?? '').toLowerCase() as Hex
  const valid = /^0x[0-9a-f]{40}$/.test(address)
  const lead = (
    <span class="mono wrap">
      {address} <Copy text={address} what="address" />
    </span>
  )
  return (
    <Page title={nameOf(address) ?? 'Account'} lead={lead}>
      {valid ? (
        <Account address={address} />
      ) : (
        <Empty title="That is no address">0x and 40 digits.</Empty>
      )}
    </Page>
  )
}

type Rewards = { readonly pending: string; readonly claimable: string }

function Account({ address }: { address: Hex }) {
  const balance = useCall<Hex>('eth_getBalance', [address, 'latest'], 'block')
  const nonce = useCall<Hex>('eth_getTransactionCount', [address, 'latest'], 'block')
  const code = useCall<Hex>('eth_getCode', [address, 'latest'])
  const rewards = useCall<Rewards>('openledger_pendingRewards', [address], 'block')
  const size = code.data === undefined ? null : (code.data.length - 2) / 2
  return (
    <>
      <Stats>
        <Stat label="Balance">
          {balance.data === undefined ? '–' : <Amount wei={balance.data} />}
        </Stat>
        <Stat label="Rewards not claimed">
          {rewards.data ? <Amount wei={rewardOf(rewards.data)} /> : '–'}
        </Stat>
        <Stat label="Transactions sent">
          {nonce.data === undefined ? '–' : integer(nonce.data)}
        </Stat>
        <Stat label="Kind" note={size ? `${bytes(size)} of code` : undefined}>
          {size === null ? '–' : kindOf(code.data as Hex)}
        </Stat>
      </Stats>
      <Tabs
        label="What happened"
        tabs={[
          {
            id: 'transactions',
            label: 'Transactions',
            content: () => <Transactions address={address} />,
          },
          {
            id: 'events',
            label: 'Mentioned in events',
            content: () => <Events address={address} topic />,
          },
          ...(size
            ? [{ id: 'logs', label: 'Its events', content: () => <Events address={address} /> }]
            : []),
          ...(size
            ? [
                {
                  id: 'contract',
                  label: 'Contract',
                  content: () => <Contract address={address} code={code.data as Hex} />,
                },
              ]
            : []),
        ]}
      />
    </>
  )
}

function rewardOf(rewards: Rewards): string {
  return rewards.pending ?? rewards.claimable ?? '0'
}

function kindOf(code: Hex): string {
  if (code === '0x') return 'Account'
  // EIP-7702: ef0100 and the address whose code it runs.
  return code.startsWith('0xef0100') ? 'Delegating account' : 'Contract'
}

function Transactions({ address }: { address: Hex }) {
  const scan = useScan(address, ({ from, to }) => from === address || to === address)
  return (
    <Card flush>
      <ScanResult scan={scan} what="transactions of this account" />
    </Card>
  )
}

/** `topic`: events of anybody that name the account; else its own. */
function Events({ address, topic = false }: { address: Hex; topic?: boolean }) {
  const logs = useQuery(`logs ${topic} ${address}`, () =>
    topic ? mentions(address) : newestLogs({ address }),
  )
  return (
    <Card
      title={topic ? 'Events that name it' : 'Its events'}
      more={`newest ${integer(LOG_BLOCKS)} blocks`}
      flush
    >
      <Show
        of={logs}
        rows={5}
        what="events"
        empty={<Empty title="No events in the newest blocks" />}
      >
        {(rows) => <LogList rows={rows.slice(0, LOGS_SHOWN)} />}
      </Show>
    </Card>
  )
}

async function mentions(address: Hex): Promise<LogJson[]> {
  const word = `0x${address.slice(2).padStart(64, '0')}`
  const found = await Promise.all(
    [1, 2, 3].map((place) => newestLogs({ topics: [...Array(place).fill(null), word] })),
  )
  const unique = new Map(found.flat().map((log) => [`${log.blockNumber} ${log.logIndex}`, log]))
  return [...unique.values()].sort((a, b) => Number(b.blockNumber) - Number(a.blockNumber))
}

function LogList({ rows }: { rows: readonly LogJson[] }) {
  return (
    <ol class="logs">
      {rows.map((log) => {
        const decoded = decodeLog(log)
        return (
          <li key={`${log.blockNumber} ${log.logIndex}`}>
            <p class="log-at">
              <BlockLink number={log.blockNumber} /> <Hash value={log.transactionHash} kind="tx" />{' '}
              <a href={`/address/${log.address}`}>{nameOf(log.address) ?? log.address}</a>
            </p>
            {decoded ? (
              <DecodedView of={decoded} />
            ) : (
              <code class="bytes">{log.topics.join('\n')}</code>
            )}
          </li>
        )
      })}
    </ol>
  )
}

function Contract({ address, code }: { address: Hex; code: Hex }) {
  const known = contractAt(address)
  return (
    <div class="stack">
      {known ? (
        <Card title={known.name} more={<Badge tone="good">part of the chain</Badge>}>
          <p>{known.purpose}.</p>
          <Facts>
            <Fact label="Functions">
              <code class="wrap">
                {known.abi
                  .flatMap((item) => (item.type === 'function' ? [item.name] : []))
                  .join(', ')}
              </code>
            </Fact>
            <Fact label="Events">
              <code class="wrap">
                {known.abi.flatMap((item) => (item.type === 'event' ? [item.name] : [])).join(', ')}
              </code>
            </Fact>
          </Facts>
        </Card>
      ) : (
        <Notice>A contract this app does not know: only its bytes can be shown.</Notice>
      )}
      <Card title="Code" more={bytes((code.length - 2) / 2)}>
        <details class="raw">
          <summary>Bytes</summary>
          <code class="bytes">{code}</code>
        </details>
      </Card>
    </div>
  )
}
