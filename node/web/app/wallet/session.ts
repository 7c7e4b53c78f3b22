/**
 * Signing in (EIP-4361): the wallet signs a message of this node and gets an API key for its doors. The key lies in this tab
 * alone (sessionStorage) and goes when it is closed, ended, or the account changes.
 */
import { createStore, type Store } from '../lib/store.ts'
import type { Hex } from '../lib/types.ts'
import { wallet } from './wallet.ts'

export type Session = {
  readonly account: Hex
  readonly key: string
  /** Milliseconds. */
  readonly expiresAt: number
}

const KEY = 'session'

export const session: Store<Session | null> = createStore<Session | null>(null)

/** Takes up what this tab had, and lets go of it when another account is connected. */
export function startSession(): void {
  const kept = sessionStorage.getItem(KEY)
  const found = kept ? (JSON.parse(kept) as Session) : null
  if (found && found.expiresAt > Date.now()) session.set(found)
  session.on((next) => {
    if (next) sessionStorage.setItem(KEY, JSON.stringify(next))
    else sessionStorage.removeItem(KEY)
  })
  wallet.on((current) => {
    const held = session.get()
    if (current && held && current.address !== held.account) void signOut()
  })
}

/** @throws Error in words for people */
export async function signIn(): Promise<void> {
  const current = wallet.get()
  if (!current) throw new Error('Connect a wallet first.')
  const [{ createSiweMessage }, { getAddress }, { signText }] = await Promise.all([
    import('viem/siwe'),
    import('viem'),
    import('./send.ts'),
  ])
  const { nonce, chainId } = await asked<{ nonce: string; chainId: number }>('/nonce')
  const message = createSiweMessage({
    address: getAddress(current.address),
    chainId,
    domain: location.host,
    nonce,
    uri: location.origin,
    version: '1',
    statement: 'Sign in to this OpenLedger node. It moves no money.',
    issuedAt: new Date(),
  })
  const signature = await signText(message)
  session.set(
    await asked<Session>('', { method: 'POST', body: JSON.stringify({ message, signature }) }),
  )
}

export async function signOut(): Promise<void> {
  const held = session.get()
  session.set(null)
  if (!held) return
  const headers = { authorization: `Bearer ${held.key}` }
  // A node that does not answer has forgotten it when it is back.
  await fetch('/session', { method: 'DELETE', headers }).catch(() => {})
}

async function asked<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(`/session${path}`, init)
  const body = (await response.json()) as T & { error?: { message: string } }
  if (body.error) throw new Error(body.error.message)
  return body
}
