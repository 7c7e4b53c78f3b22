/** The wallet in the top bar: connect, or who is connected with what balance; and the dialog that connects. */
import { useEffect, useState } from 'preact/hooks'
import { Dialog } from '../components/dialog.tsx'
import { Icon } from '../components/icon.tsx'
import { Empty, Notice } from '../components/state.tsx'
import { Age, Amount, Copy } from '../components/value.tsx'
import { chainConfig } from '../lib/chain-config.ts'
import { messageOf, short } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { useStore } from '../lib/store.ts'
import { DEV_ACCOUNTS } from './dev-accounts.ts'
import { session, signIn, signOut } from './session.ts'
import { ActionButton } from './transaction.tsx'
import {
  announced,
  connectDev,
  connectInjected,
  connecting,
  connectWallet,
  disconnect,
  isDevnet,
  useWallet,
  type Wallet,
} from './wallet.ts'

export function WalletButton() {
  const current = useWallet()
  const open = useStore(connecting)
  return (
    <>
      {current ? (
        <button type="button" class="button quiet wallet-button" onClick={connectWallet}>
          <span class={`avatar ${current.kind}`} aria-hidden="true" />
          <span class="wallet-name">
            {current.kind === 'dev' ? current.label : short(current.address, 4, 4)}
          </span>
          <Balance address={current.address} />
        </button>
      ) : (
        <button type="button" class="button primary" onClick={connectWallet}>
          <Icon name="wallet" /> Connect
        </button>
      )}
      <Dialog
        title={current ? 'Your wallet' : 'Connect a wallet'}
        open={open}
        onClose={() => connecting.set(false)}
      >
        {current ? <Connected wallet={current} /> : <Choose />}
      </Dialog>
    </>
  )
}

function Balance({ address }: { address: string }) {
  const { data } = useCall<string>('eth_getBalance', [address, 'latest'], 'block')
  return data === undefined ? null : (
    <span class="wallet-balance">
      <Amount wei={data} />
    </span>
  )
}

function Connected({ wallet }: { wallet: Wallet }) {
  return (
    <>
      {wallet.kind === 'dev' ? <DevWarning /> : null}
      <p>
        {wallet.label}
        <br />
        <span class="mono wrap">{wallet.address}</span>{' '}
        <Copy text={wallet.address} what="address" />
      </p>
      <p>
        <Balance address={wallet.address} />
      </p>
      <SignIn wallet={wallet} />
      <div class="button-row">
        <a
          class="button quiet"
          href={`/address/${wallet.address}`}
          onClick={() => connecting.set(false)}
        >
          In the explorer
        </a>
        <button type="button" class="button quiet" onClick={disconnect}>
          Disconnect
        </button>
      </div>
    </>
  )
}

/** A key for `/v1`, for programs. Pages need none: what they do is signed one by one. */
function SignIn({ wallet }: { wallet: Wallet }) {
  const held = useStore(session)
  if (held?.account !== wallet.address) {
    return (
      <details class="raw">
        <summary>API key</summary>
        <p class="small muted">
          For programs that use this node’s OpenAI API as you: your wallet signs a text, which costs
          nothing. Uploads and fine-tuning need it where you are not at the node’s own machine.
        </p>
        <ActionButton
          primary={false}
          run={async (stage) => {
            stage('Waiting for the signature…')
            await signIn()
          }}
        >
          Sign in for a key
        </ActionButton>
      </details>
    )
  }
  return (
    <div class="notice">
      <strong>API key</strong> <span class="mono wrap">{held.key}</span>{' '}
      <Copy text={held.key} what="API key" />
      <p class="small muted">
        Ends <Age at={Math.floor(held.expiresAt / 1000)} />. Whoever has it is you to this node.
      </p>
      <button type="button" class="button quiet" onClick={() => void signOut()}>
        End it
      </button>
    </div>
  )
}

function DevWarning() {
  return (
    <Notice tone="warn">
      <strong>Devnet account.</strong> Its key is public. It is for this devnet on this machine and
      must never hold anything of value.
    </Notice>
  )
}

function Choose() {
  const wallets = useStore(announced)
  const [problem, setProblem] = useState<string | null>(null)
  const [dev, setDev] = useState(false)
  useEffect(() => {
    chainConfig().then(
      (config) => setDev(isDevnet(config)),
      (error) => setProblem(messageOf(error)),
    )
  }, [])
  const attempt = (connect: Promise<void>): void => {
    setProblem(null)
    connect.then(
      () => connecting.set(false),
      (error) => setProblem(messageOf(error)),
    )
  }
  return (
    <>
      {problem ? <Notice tone="bad">{problem}</Notice> : null}
      {wallets.length > 0 ? (
        <ul class="choices">
          {wallets.map((one) => (
            <li key={one.info.uuid}>
              <button type="button" class="choice" onClick={() => attempt(connectInjected(one))}>
                <Icon name="wallet" /> {one.info.name}
              </button>
            </li>
          ))}
        </ul>
      ) : (
        <Empty title="No wallet in this browser" icon="wallet">
          Wallets that announce themselves (EIP-6963) appear here.
        </Empty>
      )}
      {dev ? (
        <>
          <h3>Accounts of this devnet</h3>
          <DevWarning />
          <ul class="choices grid">
            {DEV_ACCOUNTS.map((name) => (
              <li key={name}>
                <button type="button" class="choice" onClick={() => attempt(connectDev(name))}>
                  {name}
                </button>
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </>
  )
}

/** Where a page needs a wallet: says what for, and connects. */
export function NeedsWallet({ to }: { to: string }) {
  return (
    <Empty title={`Connect a wallet to ${to}`} icon="wallet">
      <button type="button" class="button primary" onClick={connectWallet}>
        Connect
      </button>
    </Empty>
  )
}
