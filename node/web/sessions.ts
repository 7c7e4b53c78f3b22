/**
 * Signing in with Ethereum (EIP-4361): a wallet signs a message of this node, and gets an API key for some hours. Nothing
 * on chain is done by a session: transactions, vouchers and job controls are signed one by one, as ever. What it
 * opens are the doors that spend the node's own money (`/v1/files`, `/v1/fine_tuning`) to accounts that the operator
 * names (`--session-accounts`), from anywhere.
 *
 *   nonce (once, 5 minutes) -> the wallet signs domain, chain, nonce -> key in `Authorization: Bearer`
 *
 * The key is no cookie, so no other site's page can make a browser send it. The domain must be one that people reach this
 * node by (`--web-domains`; the machine itself always is): else another site could have its visitors sign in for it.
 * Sessions are in memory: a node that starts again knows none.
 */
import { randomBytes } from 'node:crypto'
import type { Hex } from 'viem'
import { parseSiweMessage, validateSiweMessage } from 'viem/siwe'
import { hashMessage, recoverAddress } from 'viem/utils'
import { userError } from '../base/errors.ts'

export type Session = {
  readonly account: Hex
  /** Milliseconds. */
  readonly expiresAt: number
}

export type SessionModules = {
  readonly chainId: number
  /** Names (`host` or `host:port`) by which people reach the node, beside the machine's own. */
  readonly domains: readonly string[]
  readonly now: () => number
  /** ERC-1271: whether the contract at `account` says the signature is its own; false where there is none. */
  isValidSignature(account: Hex, hash: Hex, signature: Hex): Promise<boolean>
}

export const SESSION_LIMITS = {
  nonceMs: 300_000,
  sessionMs: 43_200_000,
  /** The oldest goes when one more comes. */
  noncesMax: 1_000,
  sessionsMax: 1_000,
  messageBytesMax: 4_096,
} as const

const KEY_BYTES = 32
const PREFIX = 'sk-ol-'
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/

export class Sessions {
  readonly #modules: SessionModules
  readonly #nonces = new Map<string, number>()
  readonly #sessions = new Map<string, Session>()

  constructor(modules: SessionModules) {
    this.#modules = modules
  }

  /** Good once, for `nonceMs`. */
  nonce(): string {
    const made = randomBytes(16).toString('hex')
    push(this.#nonces, made, this.#modules.now(), SESSION_LIMITS.noncesMax)
    return made
  }

  /** @throws NodeError `sign-in` saying what is wrong with the message or its signature */
  async open(message: string, signature: Hex): Promise<Session & { readonly key: string }> {
    if (message.length > SESSION_LIMITS.messageBytesMax)
      throw refused(`the message is longer than ${SESSION_LIMITS.messageBytesMax} characters`)
    const said = parseSiweMessage(message)
    const { address, domain = '', chainId, nonce = '', uri = '' } = said
    const { now, domains } = this.#modules
    if (!address) throw refused('it is no EIP-4361 message')
    if (!LOOPBACK.test(domain) && !domains.includes(domain))
      throw refused(`the domain is '${domain}'; this node is not known by it (--web-domains)`)
    if (hostOf(uri) !== domain) throw refused(`its URI '${uri}' is not of its domain '${domain}'`)
    if (chainId !== this.#modules.chainId)
      throw refused(`chain ${chainId} is not this one, ${this.#modules.chainId}`)
    const madeAt = this.#nonces.get(nonce)
    // Whatever comes of it: a nonce is tried once.
    this.#nonces.delete(nonce)
    if (madeAt === undefined || now() - madeAt > SESSION_LIMITS.nonceMs)
      throw refused('its nonce is not of this node, was used, or is too old: ask for another')
    if (!validateSiweMessage({ message: said, domain, nonce, time: new Date(now()) }))
      throw refused('it is expired, or not valid yet')
    const account = address.toLowerCase() as Hex
    if (!(await this.#isSignedBy(account, message, signature)))
      throw refused(`the signature is not of ${address}`)
    const key = PREFIX + randomBytes(KEY_BYTES).toString('base64url')
    const latest = now() + SESSION_LIMITS.sessionMs
    const expiresAt = Math.min(latest, said.expirationTime?.getTime() ?? latest)
    const session = { account, expiresAt }
    push(this.#sessions, key, session, SESSION_LIMITS.sessionsMax)
    return { ...session, key }
  }

  /** Of an `Authorization` header; null for none, an unknown or an ended one. */
  find(authorization: string | undefined): Session | null {
    const [, key = ''] = authorization?.match(/^Bearer (\S+)$/i) ?? []
    const session = this.#sessions.get(key)
    if (!session) return null
    if (session.expiresAt > this.#modules.now()) return session
    this.#sessions.delete(key)
    return null
  }

  close(authorization: string | undefined): void {
    const [, key = ''] = authorization?.match(/^Bearer (\S+)$/i) ?? []
    this.#sessions.delete(key)
  }

  async #isSignedBy(account: Hex, message: string, signature: Hex): Promise<boolean> {
    const hash = hashMessage(message)
    const signer = await recoverAddress({ hash, signature }).catch(() => null)
    if (signer?.toLowerCase() === account) return true
    return this.#modules.isValidSignature(account, hash, signature)
  }
}

const refused = (why: string): Error => userError('sign-in', `signing in is refused: ${why}`)

function hostOf(uri: string): string | null {
  return URL.canParse(uri) ? new URL(uri).host : null
}

function push<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  const [oldest] = map.keys()
  if (map.size >= max && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
}
