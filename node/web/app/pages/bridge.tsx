/** /bridge: OPEN from L1 and back, each withdrawal with where it is and what comes next. */
import { useState } from 'preact/hooks'
import { AmountField, useAmount } from '../components/amount-field.tsx'
import { TextField } from '../components/field.tsx'
import { Card, Page, Tabs } from '../components/layout.tsx'
import { Empty, Failure, Loading, Notice, Show } from '../components/state.tsx'
import { Amount, BlockLink, Hash } from '../components/value.tsx'
import {
  deposit,
  finalize,
  l1Funds,
  prove,
  type WithdrawalStatus,
  withdraw,
  withdrawalStatus,
} from '../lib/bridge.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import type { Hex } from '../lib/types.ts'
import { type Withdrawal, withdrawalsOf } from '../lib/withdrawals.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { ActionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'
import './bridge.css'

const L1_POLL_MS = 4_000
const STATUS_POLL_MS = 3_000

export default function Bridge() {
  const wallet = useWallet()
  return (
    <Page
      title="Bridge"
      lead="OPEN is an ERC-20 on L1 and the money of this chain. Going in takes a minute. Going out takes a proof on L1 and a window in which anybody may dispute it."
    >
      {wallet ? (
        <Tabs
          label="Direction"
          tabs={[
            {
              id: 'deposit',
              label: 'Deposit',
              content: () => <Deposit account={wallet.address} />,
            },
            {
              id: 'withdraw',
              label: 'Withdraw',
              content: () => <Withdraw account={wallet.address} />,
            },
          ]}
        />
      ) : (
        <Card>
          <NeedsWallet to="move OPEN between L1 and this chain" />
        </Card>
      )}
    </Page>
  )
}

const isAddress = (text: string): boolean => /^0x[0-9a-fA-F]{40}$/.test(text)

function useRecipient(account: Hex) {
  const [text, setText] = useState('')
  const problem =
    text === '' || isAddress(text) ? null : 'An address is 0x and 40 hexadecimal digits.'
  return { text, setText, problem, address: (text === '' ? account : text).toLowerCase() as Hex }
}

function Deposit({ account }: { account: Hex }) {
  const funds = useQuery(`l1 funds ${account}`, () => l1Funds(account), L1_POLL_MS)
  const amount = useAmount(funds.data?.open)
  const to = useRecipient(account)
  const [done, setDone] = useState<Hex | null>(null)
  const run = async (stage: (text: string) => void): Promise<void> => {
    setDone(null)
    const hash = await deposit({ amount: amount.checked(), account, to: to.address }, stage)
    amount.setText('')
    setDone(hash)
    funds.reload()
  }
  return (
    <div class="columns bridge">
      <Card title="From L1 to OpenLedger">
        {funds.error && !funds.data ? <Failure error={funds.error} retry={funds.reload} /> : null}
        <div class="form">
          <AmountField label="Amount" amount={amount} where="on L1" />
          <TextField
            label="To"
            value={to.text}
            onValue={to.setText}
            error={to.problem}
            placeholder={account}
            hint="Your own account on OpenLedger unless you name another."
          />
          {funds.data?.ether === 0n ? (
            <Notice tone="warn">This account has no ether on L1 for the fee of the deposit.</Notice>
          ) : null}
          <ActionButton run={run} disabled={!amount.valid || to.problem !== null}>
            Deposit
          </ActionButton>
          {done ? (
            <Notice tone="good">
              Arrived: <Hash value={done} kind="tx" />
            </Notice>
          ) : null}
        </div>
      </Card>
      <Card title="How it goes">
        <ol class="steps">
          <li>The portal on L1 may take the amount from you (one transaction, the first time).</li>
          <li>It locks the amount and says so in an event.</li>
          <li>
            Every node reads the event and mints the same amount here: nobody can leave it out.
          </li>
        </ol>
      </Card>
    </div>
  )
}

function Withdraw({ account }: { account: Hex }) {
  const balance = useCall<Hex>('eth_getBalance', [account, 'latest'], 'block')
  const amount = useAmount(balance.data === undefined ? undefined : BigInt(balance.data))
  const to = useRecipient(account)
  const list = useQuery(`withdrawals ${account}`, () => withdrawalsOf(account))
  const run = async (stage: (text: string) => void): Promise<void> => {
    stage('Waiting for the signature…')
    await withdraw({ amount: amount.checked(), to: to.address })
    amount.setText('')
    list.reload()
  }
  return (
    <div class="stack">
      <div class="columns bridge">
        <Card title="From OpenLedger to L1">
          <div class="form">
            <AmountField label="Amount" amount={amount} where="here" />
            <TextField
              label="To on L1"
              value={to.text}
              onValue={to.setText}
              error={to.problem}
              placeholder={account}
              hint="Your own account on L1 unless you name another."
            />
            <ActionButton run={run} disabled={!amount.valid || to.problem !== null}>
              Withdraw
            </ActionButton>
          </div>
        </Card>
        <Card title="How it goes">
          <ol class="steps">
            <li>Here the amount leaves your account and the withdrawal is written down.</li>
            <li>
              When an output root on L1 covers that block, you prove the withdrawal against it.
            </li>
            <li>After the window for disputes you finalize, and L1 pays.</li>
          </ol>
        </Card>
      </div>
      <Card title="Your withdrawals" flush>
        <Show
          of={list}
          rows={3}
          what="withdrawals"
          empty={
            <Empty title="You have withdrawn nothing">
              Each withdrawal stays here with its next step.
            </Empty>
          }
        >
          {(rows) => (
            <ul class="withdrawals">
              {rows.map((one) => (
                <li key={one.hash}>
                  <WithdrawalRow withdrawal={one} />
                </li>
              ))}
            </ul>
          )}
        </Show>
      </Card>
    </div>
  )
}

const STAGES: readonly {
  readonly status: WithdrawalStatus
  readonly text: string
  readonly now: string
  /** What the person does then. */
  readonly step?: {
    readonly label: string
    readonly doing: string
    readonly run: (transaction: Hex) => Promise<void>
  }
}[] = [
  {
    status: 'waiting-to-prove',
    text: 'Begun',
    now: 'Waiting for an output root on L1 that covers its block.',
  },
  {
    status: 'ready-to-prove',
    text: 'Root on L1',
    now: 'An output root covers it: prove it on L1.',
    step: { label: 'Prove', doing: 'Proving on L1…', run: prove },
  },
  {
    status: 'waiting-to-finalize',
    text: 'Proven',
    now: 'Proven. The window for disputes is open.',
  },
  {
    status: 'ready-to-finalize',
    text: 'Undisputed',
    now: 'Nobody disputed it: finalize, and L1 pays.',
    step: { label: 'Finalize', doing: 'Finalizing on L1…', run: finalize },
  },
  { status: 'finalized', text: 'Paid', now: 'Paid on L1.' },
]

function WithdrawalRow({ withdrawal }: { withdrawal: Withdrawal }) {
  const { transaction, value, target, block } = withdrawal
  const [paid, setPaid] = useState(false)
  const status = useQuery(
    `status ${transaction}`,
    () => withdrawalStatus(transaction),
    paid ? 'once' : STATUS_POLL_MS,
  )
  if (status.data === 'finalized' && !paid) setPaid(true)
  const at = STAGES.findIndex((stage) => stage.status === status.data)
  const step = STAGES[at]?.step
  return (
    <div class="withdrawal">
      <p class="withdrawal-what">
        <Amount wei={value} />{' '}
        <span class="muted">
          to <Hash value={target} kind="plain" /> in block <BlockLink number={block} />,{' '}
          <Hash value={transaction} kind="tx" />
        </span>
      </p>
      {status.data === undefined ? (
        status.error ? (
          <Failure error={status.error} retry={status.reload} />
        ) : (
          <Loading rows={1} what="its status" />
        )
      ) : (
        <>
          <ol class="stages" aria-label="Stages">
            {STAGES.map(({ status: id, text }, i) => (
              <li
                key={id}
                class={i <= at ? 'reached' : ''}
                aria-current={i === at ? 'step' : undefined}
              >
                {text}
              </li>
            ))}
          </ol>
          <p class="hint" role="status">
            {STAGES[at]?.now}
          </p>
          {step ? (
            <ActionButton
              key={step.label}
              run={async (stage) => {
                stage(step.doing)
                await step.run(transaction)
                status.reload()
              }}
            >
              {step.label}
            </ActionButton>
          ) : null}
        </>
      )}
    </div>
  )
}
