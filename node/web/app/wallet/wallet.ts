/**
 * Who the person is. Wallets announce themselves (EIP-6963) and are spoken to by EIP-1193; on the devnet one may also be one
 * of its accounts, whose keys everybody knows. What signs and sends is in `send.ts`, which comes with viem
 * only when it is needed.
 */
import { type ChainConfig, chainConfig } from '../lib/chain-config.ts'
import { connection } from '../lib/rpc.ts'
import { createStore, type Store, useStore } from '../lib/store.ts'
import { toast } from '../lib/toast.ts'
import type { DevAccountName } from './dev-accounts.ts'

export type Eip1193Provider = {
  request(args: { method: string; params?: unknown }): Promise<unknown>
  on?(event: string, listener: (...args: never[]) => void): void
  removeListener?(event: string, listener: (...args: never[]) => void): void
}

export type AnnouncedWallet = {
  readonly info: {
    readonly uuid: string
    readonly name: string
    readonly icon: string
    readonly rdns: string
  }
  readonly provider: Eip1193Provider
}

export type Wallet = {
  readonly address: `0x${string}`
  /** What the person knows it by. */
  readonly label: string
} & (
  | { readonly kind: 'injected'; readonly rdns: string; readonly provider: Eip1193Provider }
  | { readonly kind: 'dev'; readonly account: DevAccountName }
)

const KEY = 'wallet'
/** EIP-1193: the person said no. */
const DECLINED = 4001

export const wallet: Store<Wallet | null> = createStore<Wallet | null>(null)
export const announced: Store<readonly AnnouncedWallet[]> = createStore<readonly AnnouncedWallet[]>(
  [],
)
/** The dialog that connects; pages open it by `connectWallet()`. */
export const connecting: Store<boolean> = createStore<boolean>(false)

export const useWallet = (): Wallet | null => useStore(wallet)

export const connectWallet = (): void => connecting.set(true)

/** The devnet: both chains have the ids that only it uses. */
export const isDevnet = ({ l1ChainId, l2ChainId }: ChainConfig): boolean =>
  l1ChainId === 900 && l2ChainId === 161_200

/** Another chain lives at this address now. */
class NotDevnetError extends Error {}

export async function connectInjected({ info, provider }: AnnouncedWallet): Promise<void> {
  const accounts = (await provider
    .request({ method: 'eth_requestAccounts' })
    .catch((error: { code?: number; message?: string }) => {
      throw new Error(
        error.code === DECLINED
          ? `You declined in ${info.name}.`
          : `${info.name}: ${error.message ?? 'it gave no account'}`,
      )
    })) as `0x${string}`[]
  const [address] = accounts
  if (!address) throw new Error(`${info.name} gave no account.`)
  takeInjected(info, provider, address)
}

export async function connectDev(account: DevAccountName): Promise<void> {
  if (!isDevnet(await chainConfig()))
    throw new NotDevnetError('The accounts of the devnet are for the devnet.')
  const { devAddress } = await import('./dev.ts')
  wallet.set({ kind: 'dev', account, label: account, address: devAddress(account) })
  localStorage.setItem(KEY, `dev:${account}`)
}

export function disconnect(): void {
  localStorage.removeItem(KEY)
  wallet.set(null)
}

function takeInjected(
  info: AnnouncedWallet['info'],
  provider: Eip1193Provider,
  address: `0x${string}`,
): void {
  wallet.set({
    kind: 'injected',
    rdns: info.rdns,
    label: info.name,
    provider,
    address: address.toLowerCase() as `0x${string}`,
  })
  localStorage.setItem(KEY, `injected:${info.rdns}`)
}

/** Listens for wallets, and takes up again what was connected in the last visit. */
export function startWallet(): void {
  const [kind, name] = (localStorage.getItem(KEY) ?? '').split(':')
  addEventListener('eip6963:announceProvider', (event) => {
    const found = (event as CustomEvent<AnnouncedWallet>).detail
    if (announced.get().some(({ info }) => info.uuid === found.info.uuid)) return
    announced.set([...announced.get(), found])
    found.provider.on?.('accountsChanged', (accounts: string[]) => {
      const current = wallet.get()
      if (current?.kind !== 'injected' || current.provider !== found.provider) return
      const [address] = accounts
      if (address) takeInjected(found.info, found.provider, address as `0x${string}`)
      else disconnect()
    })
    if (kind === 'injected' && name === found.info.rdns && !wallet.get()) void resume(found)
  })
  dispatchEvent(new Event('eip6963:requestProvider'))
  if (kind === 'dev' && name) resumeDev(name as DevAccountName)
}

/** A node that does not answer now is asked again when it does; a chain that is no devnet has no such account. */
function resumeDev(name: DevAccountName): void {
  connectDev(name).catch((error: Error) => {
    if (!(error instanceof NotDevnetError)) {
      const stop = connection.on((state) => {
        if (state !== 'up') return
        stop()
        if (!wallet.get()) resumeDev(name)
      })
      return
    }
    localStorage.removeItem(KEY)
    toast('info', error.message)
  })
}

/** Without asking the person: only when the wallet still lets us see its account. */
async function resume({ info, provider }: AnnouncedWallet): Promise<void> {
  const accounts = (await provider
    .request({ method: 'eth_accounts' })
    .catch(() => [])) as `0x${string}`[]
  if (accounts[0] && !wallet.get()) takeInjected(info, provider, accounts[0])
}
