/** /tx/:hash: one transaction, from waiting to final: what it asked for, what it cost, what it changed, in words where we know them. */
import { DecodedView } from '../components/decoded.tsx'
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { TransactionKind } from '../components/transactions.tsx'
import { Address, Age, Amount, Badge, BlockLink, Hash } from '../components/value.tsx'
import { decodeInput, decodeLog, decodeRevert } from '../lib/decode.ts'
import { bytes, dateTime, gwei, integer } from '../lib/format.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import { call, RpcError } from '../lib/rpc.ts'
import type { BlockJson, Hex, LogJson, ReceiptJson, TransactionJson } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'

export default function Transaction({ params }: PageProps) {
  const { hash = '' } = params
  const valid = /^0x[0-9a-fA-F]{64}$/.test(hash)
  const tx = useCall<TransactionJson | null>(
    'eth_getTransactionByHash',
    valid ? [hash] : null,
    'block',
  )
  return (
    <Page
      title="Transaction"
      lead={<span class="mono wrap">{hash}</span>}
      crumb={{ href: '/transactions', text: 'Transactions' }}
    >
      {valid ? (
        <Show
          of={tx}
          rows={8}
          what="transaction"
          empty={
            <Empty title="This node knows no such transaction">
              If it was just sent it appears here when it reaches this node.
            </Empty>
          }
        >
          {(data) => <Details tx={data} />}
        </Show>
      ) : (
        <Empty title="That is no transaction hash">0x and 64 digits.</Empty>
      )}
    </Page>
  )
}

function Details({ tx }: { tx: TransactionJson }) {
  const receipt = useCall<ReceiptJson | null>(
    'eth_getTransactionReceipt',
    tx.blockNumber ? [tx.hash] : null,
  )
  const block = useCall<BlockJson>(
    'eth_getBlockByNumber',
    tx.blockNumber ? [tx.blockNumber, false] : null,
  )
  const at = block.data ? Number(block.data.timestamp) : null
  const done = receipt.data
  return (
    <>
      <Card>
        <Facts>
          <Fact label="Status">
            <Status tx={tx} receipt={done} />
          </Fact>
          <Fact label="Kind">
            <TransactionKind tx={tx} />
          </Fact>
          {tx.blockNumber ? (
            <Fact label="Block">
              <BlockLink number={tx.blockNumber} />
              {at === null ? null : (
                <span class="muted">
                  {' '}
                  {dateTime(at)} (<Age at={at} />)
                </span>
              )}
            </Fact>
          ) : null}
          <Fact label="From">
            <Address value={tx.from} full copy />
          </Fact>
          <Fact label={tx.to ? 'To' : 'Created'}>
            {(tx.to ?? done?.contractAddress) ? (
              <Address value={(tx.to ?? done?.contractAddress) as Hex} full copy />
            ) : (
              'a contract'
            )}
          </Fact>
          <Fact label="Value">
            <Amount wei={tx.value} />
          </Fact>
          {tx.mint ? (
            <Fact label="Minted">
              <Amount wei={tx.mint} />
            </Fact>
          ) : null}
          {done ? <Cost tx={tx} receipt={done} /> : null}
          <Fact label="Nonce">{integer(tx.nonce)}</Fact>
          {tx.sourceHash ? (
            <Fact label="Source on L1">
              <Hash value={tx.sourceHash} kind="plain" full copy />
            </Fact>
          ) : null}
        </Facts>
      </Card>
      {tx.input === '0x' ? null : <Input tx={tx} />}
      {done && done.logs.length > 0 ? <Logs logs={done.logs} /> : null}
    </>
  )
}

function Status({ tx, receipt }: { tx: TransactionJson; receipt: ReceiptJson | null | undefined }) {
  const failed = receipt?.status === '0x0'
  const reason = useQuery(failed ? tx.hash : null, () => reasonOf(tx))
  if (!tx.blockNumber) return <Badge tone="warn">waiting</Badge>
  if (!receipt) return <span class="muted">…</span>
  if (!failed) return <Badge tone="good">done</Badge>
  return (
    <>
      <Badge tone="bad">reverted</Badge>{' '}
      {reason.data ? <span class="mono wrap">{reason.data}</span> : null}
    </>
  )
}

/** Run again on the state before its block: what it says then. */
async function reasonOf(tx: TransactionJson): Promise<string | null> {
  const { from, to, input, value, gas } = tx
  const before = `0x${(BigInt(tx.blockNumber ?? 0) - 1n).toString(16)}`
  try {
    await call('eth_call', { from, ...(to && { to }), input, value, gas }, before)
    return null
  } catch (error) {
    const data = error instanceof RpcError && typeof error.data === 'string' ? error.data : null
    return (data && decodeRevert(to, data as Hex)) ?? (error as Error).message
  }
}

function Cost({ tx, receipt }: { tx: TransactionJson; receipt: ReceiptJson }) {
  const gas = BigInt(receipt.gasUsed)
  const price = BigInt(receipt.effectiveGasPrice)
  const l1 = BigInt(receipt.l1Fee ?? 0)
  return (
    <>
      <Fact label="Fee">
        <Amount wei={gas * price + l1} />{' '}
        {l1 > 0n ? (
          <span class="muted">
            of which <Amount wei={l1} /> for data on L1
          </span>
        ) : null}
      </Fact>
      <Fact label="Gas">
        <span class="num">
          {integer(gas)} of {integer(tx.gas)} at {gwei(price)}
        </span>
      </Fact>
    </>
  )
}

function Input({ tx }: { tx: TransactionJson }) {
  const decoded = decodeInput(tx.to, tx.input)
  return (
    <Card title="Input" more={bytes((tx.input.length - 2) / 2)}>
      {decoded ? <DecodedView of={decoded} /> : null}
      <details class="raw" open={!decoded}>
        <summary>Bytes</summary>
        <code class="bytes">
          {tx.input.length > 20_000 ? `${tx.input.slice(0, 20_000)}…` : tx.input}
        </code>
      </details>
    </Card>
  )
}

function Logs({ logs }: { logs: readonly LogJson[] }) {
  return (
    <Card title="Events" more={integer(logs.length)} flush>
      <ol class="logs">
        {logs.map((log) => {
          const decoded = decodeLog(log)
          return (
            <li key={log.logIndex}>
              <p class="log-at">
                <span class="num muted">{integer(log.logIndex)}</span>{' '}
                <Address value={log.address} />
              </p>
              {decoded ? (
                <DecodedView of={decoded} />
              ) : (
                <>
                  <Notice>An event of a contract this app does not know.</Notice>
                  <code class="bytes">
                    {log.topics.join('\n')}
                    {'\n'}
                    {log.data}
                  </code>
                </>
              )}
            </li>
          )
        })}
      </ol>
    </Card>
  )
}
