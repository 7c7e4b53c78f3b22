/** The L1 account of a role over several endpoints of one real L1, one of which lies, swallows or is down. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { fromHex, type Hex, keccakHex } from '../../../node/base/bytes.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import { L1Client } from '../../../node/l1/client.ts'
import { L1Sender } from '../../../node/l1/sender.ts'
import { KEYS, startAnvil } from './anvil.ts'

const anvil = await startAnvil()
t.teardown(() => anvil.stop())
const signer = localSigner(fromHex(KEYS[0] as Hex))
const RICH = '0x7fffffffffffffffffff'
const PLENTY = '0x3e8'

type Answer = { result: unknown } | { error: string } | { status: number }
/** An answer of its own to a method, or null: anvil's. */
type Lie = (method: string, params: readonly unknown[]) => Answer | null
const honest: Lie = () => null

async function endpoint(t: { teardown(fn: () => void): void }, lie: Lie): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const { id, method, params } = JSON.parse(body)
    const own = lie(method, params)
    if (own && 'status' in own) return response.writeHead(own.status).end()
    const headers = { 'content-type': 'application/json' }
    const said = own && ('error' in own ? { error: { code: -32_000, message: own.error } } : own)
    const text = said
      ? JSON.stringify({ jsonrpc: '2.0', id, ...said })
      : await (await fetch(anvil.url, { method: 'POST', headers, body })).text()
    return response.writeHead(200, headers).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The first endpoint is the one in use. */
async function senderOver(
  t: { teardown(fn: () => void): void },
  ...lies: Lie[]
): Promise<L1Sender> {
  const urls = await Promise.all(lies.map((lie) => endpoint(t, lie)))
  return new L1Sender({ client: new L1Client(urls, { backoffMs: 1 }), signer, chainId: 31_337 })
}

async function signed(sender: L1Sender) {
  const account = await sender.account()
  const bid = sender.bid(account, { isBlob: false })
  if (bid.kind !== 'bid') throw new Error('the test L1 is too dear')
  const payload = { kind: 'calldata', to: signer.address, data: new Uint8Array(3) } as const
  return sender.sign(payload, account.nonce, bid.fees)
}

const truth = await (await senderOver(t, honest)).account()

const lies: Record<string, Lie> = {
  'a nonce that would leave a gap': (method) =>
    method === 'eth_getTransactionCount' ? { result: PLENTY } : null,
  'a balance that is not there': (method) =>
    method === 'eth_getBalance' ? { result: RICH } : null,
  'no newest block': (method) => (method === 'eth_getBlockByNumber' ? { result: null } : null),
  'nothing at all': () => ({ status: 502 }),
}
for (const [what, lie] of Object.entries(lies)) {
  t.test(`an endpoint in use that says ${what} is not believed against two`, async (t) => {
    const sender = await senderOver(t, lie, honest, honest)
    t.same(await sender.account(), truth)
    t.same(await sender.account(), truth)
  })
}

t.test('of two that contradict each other neither is believed', async (t) => {
  const lie = lies['a nonce that would leave a gap'] as Lie
  const sender = await senderOver(t, honest, lie)
  await t.rejects(sender.account(), { code: 'l1-disagreement', severity: 'retry' })
})

t.test('a base fee that its own header does not hash to moves no bid', async (t) => {
  const blocks = new Map<string, Record<string, unknown>>()
  const latest = await anvil.rpc<Record<string, unknown>>('eth_getBlockByNumber', 'latest', false)
  blocks.set('latest', { ...latest, baseFeePerGas: '0xffffffffffff' })
  const sender = await senderOver(
    t,
    (method, [tag]) => {
      const block = method === 'eth_getBlockByNumber' && blocks.get(String(tag))
      return block ? { result: block } : null
    },
    honest,
  )
  t.equal((await sender.account()).baseFee, truth.baseFee)
})

const keeps: Record<string, { says(raw: Hex): Answer; outcome: string }> = {
  'takes it': { says: (raw) => ({ result: keccakHex(fromHex(raw)) }), outcome: 'sent' },
  'has it already': { says: () => ({ error: 'already known' }), outcome: 'known' },
  'has seen its nonce used': { says: () => ({ error: 'nonce too low' }), outcome: 'nonceTooLow' },
}
for (const [what, { says, outcome }] of Object.entries(keeps)) {
  t.test(
    `a transaction of which one endpoint says that it ${what} is in a block all the same`,
    async (t) => {
      const swallow: Lie = (method, [raw]) => {
        if (method === 'eth_sendRawTransaction') return says(raw as Hex)
        return method === 'eth_getTransactionReceipt' ? { result: null } : null
      }
      const sender = await senderOver(t, swallow, honest, honest)
      const before = await sender.account()
      const { raw, hash } = await signed(sender)
      t.equal(await sender.send(raw), outcome)
      t.equal(await sender.inclusion(hash), null)
      await anvil.mine()
      t.match(await sender.inclusion(hash), {
        status: 1,
        block: { number: before.head.number + 1n },
      })
      t.equal((await sender.account()).nonce, before.nonce + 1n)
    },
  )
}

t.test('an endpoint that goes down costs nothing', async (t) => {
  let isDown = false
  const sender = await senderOver(t, () => (isDown ? { status: 503 } : null), honest)
  const { raw, hash } = await signed(sender)
  isDown = true
  t.equal(await sender.send(raw), 'sent')
  await anvil.mine()
  t.match(await sender.inclusion(hash), { status: 1 })
})
