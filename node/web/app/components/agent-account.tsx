/** An agent's account: made, filled, stopped; around it its policy, what waits and what was done. */
import type { Agent } from '../lib/agent.ts'
import { accountSalt } from '../lib/agent.ts'
import { ACCOUNTS, type Account, accountAt, readAccount } from '../lib/agent-account.ts'
import { type Loaded, useCall, useQuery } from '../lib/hooks.ts'
import type { Hex } from '../lib/types.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { ActionButton, TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'
import { NewKey } from './agent-key.tsx'
import { Done, Keys, type Part, Waiting } from './agent-policy.tsx'
import { AmountField, useAmount } from './amount-field.tsx'
import { Card, Fact, Facts } from './layout.tsx'
import { Notice, Show } from './state.tsx'
import { Address, Amount, Badge } from './value.tsx'

export function AccountTab({ agent }: { agent: Agent }) {
  const { id, owner } = agent
  const account = useQuery(`account ${id} ${owner}`, () => readAccount(owner, id), 'block')
  return (
    <Show of={account} rows={6} what="account">
      {(data) => <AccountCards agent={agent} account={data} of={account} />}
    </Show>
  )
}

function AccountCards({
  agent,
  account,
  of,
}: {
  agent: Agent
  account: Account
  of: Loaded<Account>
}) {
  const wallet = useWallet()
  const isOwner = wallet?.address === agent.owner
  const contract = accountAt(account.address)
  return (
    <div class="stack">
      {account.isStopped ? (
        <Notice tone="warn">
          <strong>Stopped.</strong> No key of this account spends anything until its owner resumes
          it.
        </Notice>
      ) : null}
      <div class="columns">
        <Card title="Account">
          <Facts>
            <Fact label="Address">
              <Address value={account.address} copy />
            </Fact>
            <Fact label="State">
              {account.exists ? (
                account.isStopped ? (
                  <Badge tone="warn">stopped</Badge>
                ) : (
                  <Badge tone="good">open</Badge>
                )
              ) : (
                <Badge>not made yet; it can be paid already</Badge>
              )}
            </Fact>
            <Fact label="Holds">
              <Amount wei={account.balance} />
            </Fact>
            <Fact label="Prepaid for questions">
              <Amount wei={account.prepaid} />
            </Fact>
          </Facts>
          {isOwner ? (
            <div class="button-row">
              {account.exists ? (
                <TransactionButton
                  primary={false}
                  call={() => ({
                    ...contract,
                    functionName: account.isStopped ? 'resume' : 'stop',
                  })}
                  onDone={of.reload}
                >
                  {account.isStopped ? 'Resume' : 'Stop all spending'}
                </TransactionButton>
              ) : (
                <TransactionButton
                  call={() => ({
                    ...ACCOUNTS,
                    functionName: 'create',
                    args: [agent.owner, accountSalt(agent.id)],
                  })}
                  onDone={of.reload}
                >
                  Make the account
                </TransactionButton>
              )}
            </div>
          ) : (
            <p class="small muted">Its owner sets the policy. Anybody may fund it.</p>
          )}
        </Card>
        <Fund account={account} isOwner={isOwner} onDone={of.reload} />
      </div>
      <Keys account={account} isOwner={isOwner} onDone={of.reload} />
      {isOwner && account.exists ? <NewKey account={account} onDone={of.reload} /> : null}
      {account.waiting.length > 0 ? (
        <Waiting account={account} isOwner={isOwner} onDone={of.reload} />
      ) : null}
      <Done account={account} />
    </div>
  )
}

function Fund({ account, isOwner, onDone }: Part) {
  const wallet = useWallet()
  const balance = useCall<Hex>(
    'eth_getBalance',
    wallet ? [wallet.address, 'latest'] : null,
    'block',
  )
  const fund = useAmount(balance.data === undefined ? undefined : BigInt(balance.data))
  const back = useAmount(account.balance)
  if (!wallet) {
    return (
      <Card title="Fund it">
        <NeedsWallet to="send OPEN to this agent" />
      </Card>
    )
  }
  const send = async (stage: (text: string) => void): Promise<void> => {
    const { sendOpen, waitFor } = await import('../wallet/send.ts')
    stage('Waiting for the signature…')
    const hash = await sendOpen(account.address, fund.checked())
    stage('On its way…')
    await waitFor(hash)
    fund.setText('')
    onDone()
  }
  return (
    <Card title="Fund it">
      <div class="form">
        <AmountField label="Amount to fund" amount={fund} where="here" />
        <ActionButton run={send} disabled={!fund.valid}>
          Fund
        </ActionButton>
        {isOwner && account.exists && account.balance > 0n ? (
          <>
            <AmountField label="Amount to take back" amount={back} where="in the account" />
            <TransactionButton
              primary={false}
              disabled={!back.valid}
              call={() => ({
                ...accountAt(account.address),
                functionName: 'executeAsOwner',
                args: [wallet.address, back.checked(), '0x'],
              })}
              onDone={() => {
                back.setText('')
                onDone()
              }}
            >
              Take back
            </TransactionButton>
          </>
        ) : null}
      </div>
    </Card>
  )
}
