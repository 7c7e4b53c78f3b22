/** What the keys of an agent's account may do, what waits for the owner's no, and what was done. */
import { type Account, accountAt, type Key, OPEN_ASSET, wordsOf } from '../lib/agent-account.ts'
import { duration } from '../lib/format.ts'
import { TransactionButton } from '../wallet/transaction.tsx'
import { Card } from './layout.tsx'
import { Empty } from './state.tsx'
import { Table } from './table.tsx'
import { Address, Age, Amount, Badge, BlockLink, Hash } from './value.tsx'

export type Part = { account: Account; isOwner: boolean; onDone: () => void }

export function Keys({ account, isOwner, onDone }: Part) {
  return (
    <Card title="Policy" more="what each key may do" flush>
      {account.keys.length === 0 ? (
        <Empty title="No key may spend anything" icon="wallet">
          A key is what the agent signs with. It may call what you list, and spend so much at a time
          and in a period.
        </Empty>
      ) : (
        <Table
          caption="Keys and their limits"
          rows={account.keys}
          rowKey={({ key }) => key}
          columns={[
            { head: 'Key', cell: ({ key }) => <Address value={key} copy /> },
            { head: 'Until', cell: (key) => <Until of={key} /> },
            {
              head: 'May call',
              cell: ({ allowed }) =>
                allowed.length === 0 ? (
                  <span class="muted">nothing</span>
                ) : (
                  allowed.map(wordsOf).join(', ')
                ),
            },
            { head: 'May spend', cell: (key) => <Caps of={key} /> },
            ...(isOwner
              ? [
                  {
                    head: 'End',
                    cell: ({ key }: Key) => (
                      <TransactionButton
                        primary={false}
                        call={() => ({
                          ...accountAt(account.address),
                          functionName: 'removeKey',
                          args: [key],
                        })}
                        onDone={onDone}
                      >
                        Remove
                      </TransactionButton>
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
    </Card>
  )
}

const Until = ({ of: { validUntil } }: { of: Key }) =>
  validUntil * 1000 < Date.now() ? <Badge tone="bad">expired</Badge> : <Age at={validUntil} />

function Caps({ of: { caps, delaySeconds } }: { of: Key }) {
  if (caps.length === 0) return <span class="muted">nothing</span>
  return (
    <ul class="stack small">
      {caps.map(({ asset, actionMax, periodMax, periodSeconds, delayAbove, left }) => {
        const amount = (wei: bigint) => (
          <Amount wei={wei} unit={asset === OPEN_ASSET ? 'OPEN' : ''} />
        )
        return (
          <li key={asset}>
            {asset === OPEN_ASSET ? null : (
              <>
                <Address value={asset} />:{' '}
              </>
            )}
            {amount(actionMax)} at a time, {amount(periodMax)} in {duration(periodSeconds * 1000)};{' '}
            {amount(left)} left
            {delayAbove < actionMax ? (
              <>
                ; above {amount(delayAbove)} it waits {duration(delaySeconds * 1000)}
              </>
            ) : null}
          </li>
        )
      })}
    </ul>
  )
}

export function Waiting({ account, isOwner, onDone }: Part) {
  return (
    <Card title="Waiting" more="large amounts, which the owner can cancel" flush>
      <Table
        caption="Calls that wait"
        rows={account.waiting}
        rowKey={({ id }) => String(id)}
        columns={[
          { head: 'Key', cell: ({ key }) => <Address value={key} /> },
          { head: 'Calls', cell: ({ target }) => <Address value={target} /> },
          { head: 'Amount', align: 'right', cell: ({ value }) => <Amount wei={value} /> },
          { head: 'Ready', cell: ({ readyAt }) => <Age at={readyAt} /> },
          {
            head: 'Cancel',
            cell: ({ id }) =>
              isOwner ? (
                <TransactionButton
                  primary={false}
                  call={() => ({
                    ...accountAt(account.address),
                    functionName: 'cancel',
                    args: [id],
                  })}
                  onDone={onDone}
                >
                  Cancel
                </TransactionButton>
              ) : null,
          },
        ]}
      />
    </Card>
  )
}

export function Done({ account: { done } }: { account: Account }) {
  return (
    <Card title="What the account did" flush>
      {done.length === 0 ? (
        <Empty title="No key has spent anything yet" />
      ) : (
        <Table
          caption="Calls by keys, newest first"
          rows={done}
          rowKey={({ transaction, selector, target }) => transaction + selector + target}
          columns={[
            { head: 'Called', cell: (one) => wordsOf(one) },
            { head: 'Key', narrow: false, cell: ({ key }) => <Address value={key} /> },
            { head: 'Amount', align: 'right', cell: ({ value }) => <Amount wei={value} /> },
            { head: 'Block', align: 'right', cell: ({ block }) => <BlockLink number={block} /> },
            {
              head: 'Transaction',
              cell: ({ transaction }) => <Hash value={transaction} kind="tx" />,
            },
          ]}
        />
      )}
    </Card>
  )
}
