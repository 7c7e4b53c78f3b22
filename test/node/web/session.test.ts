/** Signing in with a wallet (EIP-4361): who gets a key, what it opens, and every way in which it must not. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { createSiweMessage } from 'viem/siwe'
import { sessionHandler } from '../../../node/web/session-route.ts'
import { SESSION_LIMITS, Sessions } from '../../../node/web/sessions.ts'

const CHAIN_ID = 161_200
const account = privateKeyToAccount(generatePrivateKey())
const other = privateKeyToAccount(generatePrivateKey())
const contract = '0x00000000000000000000000000000000000c0de0'

function world(domains: readonly string[] = []) {
  const clock = { now: Date.parse('2026-11-27T12:00:00Z') }
  const sessions = new Sessions({
    chainId: CHAIN_ID,
    domains,
    now: () => clock.now,
    isValidSignature: async (who, _hash, signature) => who === contract && signature === '0x1271',
  })
  const said = (nonce: string, changes: object = {}): string =>
    createSiweMessage({
      address: account.address,
      chainId: CHAIN_ID,
      domain: '127.0.0.1:9545',
      nonce,
      uri: 'http://127.0.0.1:9545',
      version: '1',
      ...changes,
    })
  const signIn = async (changes: object = {}) => {
    const message = said(sessions.nonce(), changes)
    return sessions.open(message, await account.signMessage({ message }))
  }
  return { clock, sessions, said, signIn }
}

t.test('whoever signs gets a key that names the account until it ends', async (t) => {
  const { clock, sessions, signIn } = world()
  const { key, account: who, expiresAt } = await signIn()
  t.equal(who, account.address.toLowerCase())
  t.equal(expiresAt, clock.now + SESSION_LIMITS.sessionMs)
  t.match(sessions.find(`Bearer ${key}`), { account: who })
  t.equal(sessions.find('Bearer sk-ol-guess'), null)
  t.equal(sessions.find(undefined), null)
  clock.now = expiresAt
  t.equal(sessions.find(`Bearer ${key}`), null, 'ended by time')
  const next = await signIn()
  sessions.close(`Bearer ${next.key}`)
  t.equal(sessions.find(`Bearer ${next.key}`), null, 'ended by the person')
})

t.test('a message that is not for this node, this chain, or this moment is refused', async (t) => {
  const { clock, signIn } = world(['node.example'])
  await signIn({ domain: 'node.example', uri: 'https://node.example/' })
  const cases: [object, RegExp][] = [
    [{ domain: 'evil.example', uri: 'https://evil.example' }, /not known by it/],
    [{ domain: 'node.example', uri: 'https://evil.example' }, /not of its domain/],
    [{ chainId: 1 }, /chain 1 is not this one/],
    [{ nonce: 'deadbeefdeadbeef' }, /nonce is not of this node/],
    [{ expirationTime: new Date(clock.now - 1) }, /expired/],
    [{ notBefore: new Date(clock.now + 60_000) }, /not valid yet/],
    [{ address: other.address }, /signature is not of/],
  ]
  for (const [changes, why] of cases)
    await t.rejects(signIn(changes), { code: 'sign-in', message: why })
})

t.test('a nonce is good once, and for five minutes', async (t) => {
  const { clock, sessions, said } = world()
  const message = said(sessions.nonce())
  const signature = await account.signMessage({ message })
  await sessions.open(message, signature)
  await t.rejects(sessions.open(message, signature), { message: /was used/ })
  const late = said(sessions.nonce())
  clock.now += SESSION_LIMITS.nonceMs + 1
  const signed = await account.signMessage({ message: late })
  await t.rejects(sessions.open(late, signed), { message: /too old/ })
  const first = said(sessions.nonce())
  for (let i = 0; i < SESSION_LIMITS.noncesMax; i++) sessions.nonce()
  const forgotten = await account.signMessage({ message: first })
  await t.rejects(sessions.open(first, forgotten), { code: 'sign-in' }, 'the oldest went')
})

t.test('a contract account signs in by ERC-1271', async (t) => {
  const { sessions, said } = world()
  const message = said(sessions.nonce(), { address: contract })
  t.match(await sessions.open(message, '0x1271'), { account: contract })
  const again = said(sessions.nonce(), { address: contract })
  await t.rejects(sessions.open(again, '0x00'), { message: /signature is not of/ })
})

t.test(
  'over HTTP: nonce, key, who, and the end; what is garbage is refused in words',
  async (t) => {
    const { sessions, said } = world()
    const handle = sessionHandler(sessions, CHAIN_ID)
    const server = createServer((req, res) => void handle(req, res))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/session`
    const json = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(url + path, init)
      return { status: response.status, body: (await response.json()) as Record<string, string> }
    }
    const { body: asked } = await json('/nonce')
    t.match(asked, { nonce: /^[0-9a-f]{32}$/, chainId: CHAIN_ID })
    const message = said(String(asked.nonce))
    const signature = await account.signMessage({ message })
    const post = (body: string) => json('', { method: 'POST', body })
    t.match(await post('{'), { status: 400, body: { error: { code: 'body' } } })
    t.match(await post(JSON.stringify({ message, signature: '0xff' })), {
      status: 401,
      body: { error: { code: 'sign-in' } },
    })
    t.match(
      await post(JSON.stringify({ message, signature })),
      { status: 401 },
      'its nonce is used',
    )
    const next = said(sessions.nonce())
    const signed = await account.signMessage({ message: next })
    const { body } = await post(JSON.stringify({ message: next, signature: signed }))
    const headers = { authorization: `Bearer ${body.key}` }
    t.match(await json('', { headers }), { status: 200, body: { account: body.account } })
    t.match(await json('', { method: 'DELETE', headers }), { status: 200 })
    t.match(await json('', { headers }), { status: 401, body: { error: { code: 'sign-in' } } })
    t.match(await json('/elsewhere'), { status: 404 })
  },
)
