/**
 * A wallet in the browser for tests: announces itself by EIP-6963 and speaks EIP-1193, and keeps its key outside the page, as an
 * extension does: what is asked goes over a binding to this process, where a viem account signs. It knows Ethereum
 * alone at first; another chain must be added (EIP-3085) before it can be changed to (EIP-3326).
 */
import type { BrowserContext } from 'playwright-core'
import { createWalletClient, defineChain, http, type LocalAccount } from 'viem'

type Asked = { readonly method: string; readonly params?: readonly unknown[] }
type Answer = { readonly result: unknown } | { readonly error: { code: number; message: string } }

const CODE = { declined: 4001, unauthorized: 4100, unknownChain: 4902 }
const MAINNET = '0x1'

export class InjectedWallet {
  readonly name = 'Wallet of the test'
  /** Every method that the page asked for, in order. */
  readonly asked: string[] = []
  #account: LocalAccount
  #chainId: string = MAINNET
  readonly #chains = new Map<string, string>()
  #declines = 0
  #isConnected = false

  constructor(account: LocalAccount) {
    this.#account = account
  }

  async install(context: BrowserContext): Promise<void> {
    await context.exposeBinding('askInjectedWallet', (_source, asked: Asked) => this.#answer(asked))
    await context.addInitScript(announce, this.name)
  }

  /** The person says no to the next thing that needs a yes. */
  declineNext(): void {
    this.#declines++
  }

  /** The person picks another account, or none. Pages hear `accountsChanged`. */
  async choose(account: LocalAccount | null, context: BrowserContext): Promise<void> {
    if (account) this.#account = account
    this.#isConnected = account !== null
    const accounts = account ? [account.address] : []
    await Promise.all(
      context.pages().map((page) =>
        page.evaluate((list) => {
          const window = globalThis as unknown as EventTarget
          window.dispatchEvent(new CustomEvent('test:accountsChanged', { detail: list }))
        }, accounts),
      ),
    )
  }

  async #answer(asked: Asked): Promise<Answer> {
    this.asked.push(asked.method)
    try {
      return { result: await this.#do(asked) }
    } catch (error) {
      const { code = -32603, message } = error as { code?: number; message: string }
      return { error: { code, message } }
    }
  }

  async #do({ method, params = [] }: Asked): Promise<unknown> {
    const [first, second] = params as [never, never]
    switch (method) {
      case 'eth_requestAccounts':
        this.#mayDecline()
        this.#isConnected = true
        return [this.#account.address]
      case 'eth_accounts':
        return this.#isConnected ? [this.#account.address] : []
      case 'eth_chainId':
        return this.#chainId
      case 'wallet_switchEthereumChain': {
        const { chainId } = first as { chainId: string }
        if (chainId !== MAINNET && !this.#chains.has(chainId))
          throw refusal(CODE.unknownChain, `Unrecognized chain ID ${chainId}`)
        this.#mayDecline()
        this.#chainId = chainId
        return null
      }
      case 'wallet_addEthereumChain': {
        const { chainId, rpcUrls } = first as { chainId: string; rpcUrls: string[] }
        this.#mayDecline()
        this.#chains.set(chainId, rpcUrls[0] as string)
        this.#chainId = chainId
        return null
      }
      case 'personal_sign':
        this.#check(second)
        return this.#account.signMessage({ message: { raw: first } })
      case 'eth_signTypedData_v4':
        this.#check(first)
        return this.#account.signTypedData(JSON.parse(second))
      case 'eth_sendTransaction':
        return this.#send(first)
      default:
        return this.#forward({ method, params })
    }
  }

  async #send(transaction: Record<string, `0x${string}`>): Promise<`0x${string}`> {
    const { from, to, value, data, gas } = transaction
    this.#check(from as string)
    const client = createWalletClient({
      account: this.#account,
      chain: defineChain({
        id: Number(this.#chainId),
        name: 'of the wallet',
        nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
        rpcUrls: { default: { http: [this.#url()] } },
      }),
      transport: http(this.#url()),
    })
    return client.sendTransaction({
      to,
      data,
      value: BigInt(value ?? 0),
      gas: gas ? BigInt(gas) : undefined,
    })
  }

  async #forward(asked: Asked): Promise<unknown> {
    const response = await fetch(this.#url(), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...asked }),
    })
    const { result, error } = (await response.json()) as {
      result?: unknown
      error?: { code: number; message: string }
    }
    if (error) throw refusal(error.code, error.message)
    return result
  }

  #url(): string {
    const url = this.#chains.get(this.#chainId)
    if (!url) throw refusal(CODE.unknownChain, `no endpoint of chain ${this.#chainId}`)
    return url
  }

  #check(who: string): void {
    if (!this.#isConnected || who.toLowerCase() !== this.#account.address.toLowerCase())
      throw refusal(CODE.unauthorized, `${who} is not connected`)
    this.#mayDecline()
  }

  #mayDecline(): void {
    if (this.#declines === 0) return
    this.#declines--
    throw refusal(CODE.declined, 'User rejected the request.')
  }
}

const refusal = (code: number, message: string): Error =>
  Object.assign(new Error(message), { code })

/** Runs in the page, before it. */
function announce(name: string): void {
  const window = globalThis as unknown as EventTarget
  const listeners = new Set<(accounts: string[]) => void>()
  const ask = (globalThis as unknown as { askInjectedWallet(asked: Asked): Promise<Answer> })
    .askInjectedWallet
  const provider = {
    request: async ({ method, params }: Asked) => {
      const answer = await ask({ method, ...(params && { params }) })
      if ('error' in answer)
        throw Object.assign(new Error(answer.error.message), { code: answer.error.code })
      return answer.result
    },
    on: (event: string, listener: (accounts: string[]) => void) => {
      if (event === 'accountsChanged') listeners.add(listener)
    },
    removeListener: (_event: string, listener: (accounts: string[]) => void) => {
      listeners.delete(listener)
    },
  }
  window.addEventListener('test:accountsChanged', (event: Event) => {
    for (const listener of listeners) listener((event as CustomEvent<string[]>).detail)
  })
  const info = {
    uuid: '350670db-19fa-4704-a166-e52e178b59d2',
    name,
    icon: 'data:image/svg+xml,',
    rdns: 'test.openledger',
  }
  const tell = (): void => {
    const detail = Object.freeze({ info, provider })
    window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
  }
  window.addEventListener('eip6963:requestProvider', tell)
  tell()
}
