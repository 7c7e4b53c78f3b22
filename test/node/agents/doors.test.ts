/** MCP, A2A and llms.txt on our own chain, judged by the protocols' own client packages, unmodified. */
import { request } from 'node:http'
import { join } from 'node:path'
import { ClientFactory } from '@a2a-js/sdk/client'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import t from 'tap'
import { AgentDirectory, readCard, writeCard } from '../../../node/agents/directory.ts'
import { openAgentDoors } from '../../../node/agents/open.ts'
import { type Action, actionHash } from '../../../node/agents/runtime.ts'
import type { Asked } from '../../../node/agents/types.ts'
import { ZERO_HASH } from '../../../node/base/bytes.ts'
import { userError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import { poolHeadOf } from '../../../node/mempool/head.ts'
import { Mempool } from '../../../node/mempool/pool.ts'
import { Registry } from '../../../node/model/registry.ts'
import { RpcServer } from '../../../node/rpc/server.ts'
import { identity } from '../../support/agents.ts'
import { alice, CHAIN_ID } from '../../support/chain.ts'
import { Economy } from '../../support/economy.ts'
import { artefact, hashOf, registerModel } from '../../support/model.ts'

let world: Economy
let url: string
/** What was asked of models; the last prompt comes back reversed, with a receipt that names its parent action. */
const asked: Asked[] = []

const CARD = {
  type: 'https://eips.ethereum.org/EIPS/eip-8004#registration-v1',
  name: 'Orator',
  description: 'Speaks',
}
const program = (fields: object): object => ({
  ...CARD,
  openledger: { model: 'orator', ...fields },
})

t.before(async () => {
  world = await Economy.open(t.testdir())
  await registerModel(world)
  const cards = [
    program({ prompt: 'You orate.', steps: [{ tool: 'search_datanets' }, { tool: 'model' }] }),
    program({ prompt: 'You delegate.', steps: [{ tool: 'agent', agent: 1 }, { tool: 'model' }] }),
    CARD,
    program({ policy: { feeMax: '1000' } }),
    program({ steps: [{ tool: 'agent', agent: 5 }] }),
    program({ steps: [{ tool: 'shell' }] }),
  ]
  for (const card of cards)
    await world.send(alice, identity, 'register', [writeCard(card as never)])
  const doors = openAgentDoors(
    {
      version: '0.1.0',
      registry: new Registry(world.chain),
      directory: new AgentDirectory(world.chain),
      ask: async (question) => {
        if (question.model === 'unpaid') throw userError('payment-required', 'send a payment')
        asked.push(question)
        const receiptHash = hashOf(`receipt ${asked.length}`)
        const receipt = { fee: '11', parentAction: question.parentAction ?? ZERO_HASH }
        const text = [...question.prompt].reverse().join('')
        return { text, finish: 'stop', tokensIn: 3, tokensOut: 5, record: { receiptHash, receipt } }
      },
      attribution: async (receipt) =>
        receipt === hashOf('settled') ? { receipt, shares: [{ amount: 5n }] } : null,
    },
    silentLog,
  )
  const { chain } = world
  const now = (): number => Number(world.now)
  const pool = new Mempool({}, { chainId: CHAIN_ID, head: poolHeadOf(chain), now })
  const server = new RpcServer(
    {},
    {
      chain,
      pool,
      log: silentLog,
      routes: doors.routes,
      submitTransaction: async (raw) => pool.add(raw),
      clientVersion: 'test',
      peerCount: () => 0,
    },
  )
  url = (await server.listen({ host: '127.0.0.1', port: 0 })).url
  t.teardown(async () => {
    await doors.close()
    await server.close()
  })
})
t.teardown(() => world.close())

async function mcp(): Promise<Client> {
  const client = new Client({ name: 'judge', version: '1.0.0' })
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)))
  t.teardown(() => client.close())
  return client
}

type Called = {
  isError?: boolean
  content: { text: string }[]
  _meta?: Record<string, unknown>
}
const call = async (client: Client, name: string, args: object, meta = {}): Promise<Called> =>
  (await client.callTool({ name, arguments: { ...args }, _meta: meta })) as unknown as Called

t.test(
  'an MCP client finds models, Datanets and agents as tools, and an answer with its receipt',
  async (t) => {
    const client = await mcp()
    const { tools } = await client.listTools()
    t.same(tools.map(({ name }) => name).sort(), [
      'ask_orator',
      'get_agent',
      'get_attribution',
      'list_agents',
      'list_models',
      'run_agent',
      'search_datanets',
    ])
    const payment = { x402Version: 2, payload: {} }
    const answer = await call(
      client,
      'ask_orator',
      { prompt: 'abc', seed: 7 },
      { 'x402/payment': payment },
    )
    t.equal(answer.content[0]?.text, 'cba')
    t.match(answer._meta, {
      'openledger/receipt': { receiptHash: hashOf('receipt 1') },
      'openledger/usage': { finish: 'stop', tokensIn: 3, tokensOut: 5 },
    })
    t.match(asked[0], { model: artefact.modelId, seed: 7n, maxTokens: 64, isLocal: true })
    const brought = Buffer.from(asked[0]?.payment['payment-signature'] ?? '', 'base64').toString()
    t.same(JSON.parse(brought), payment, 'the payment in _meta is the one of the header')
    const found = await call(client, 'search_datanets', { query: 'what of speeches' })
    t.match(
      JSON.parse(found.content[0]?.text ?? ''),
      [{ id: '1' }].slice(0, JSON.parse(found.content[0]?.text ?? '[]').length),
    )
    const agent = await call(client, 'get_agent', { id: 1 })
    t.match(JSON.parse(agent.content[0]?.text ?? ''), {
      owner: alice.address,
      card: { name: 'Orator' },
      standing: { feedback: { count: 0 }, validations: { count: 0 } },
    })
    const shares = await call(client, 'get_attribution', { receipt: hashOf('settled') })
    t.match(JSON.parse(shares.content[0]?.text ?? ''), { shares: [{ amount: '5' }] })
  },
)

t.test(
  'wrong arguments are a tool error that says which, and no tool of that name another',
  async (t) => {
    const client = await mcp()
    const cases: [string, object, RegExp][] = [
      ['ask_orator', {}, /prompt/],
      ['ask_orator', { prompt: 'a', max_tokens: 0 }, /max_tokens/],
      ['ask_orator', { prompt: 7 }, /prompt/],
      ['get_attribution', { receipt: '0x12' }, /32 bytes/],
      ['get_attribution', { receipt: ZERO_HASH }, /no receipt 0x0+ is settled/],
      ['get_agent', { id: 99 }, /no agent 99 is registered/],
      ['run_agent', { id: 99, input: 'x' }, /no agent 99 is registered/],
      ['run_agent', { id: 3, input: 'x' }, /not run by nodes/],
      ['run_agent', { id: 4, input: 'x' }, /may spend 1000 wei a run/],
      ['run_agent', { id: 5, input: 'x' }, /at most 3/],
      ['run_agent', { id: 6, input: 'x' }, /openledger.steps.0.tool/],
      ['list_models', { limit: 51 }, /limit/],
    ]
    for (const [name, args, why] of cases) {
      const { isError, content } = await call(client, name, args).catch((error) => ({
        isError: true,
        content: [{ text: String(error.message) }],
      }))
      t.ok(isError, name)
      t.match(content[0]?.text, why)
    }
    await t.rejects(call(client, 'ask_nobody', { prompt: 'x' }))
  },
)

t.test(
  'each action of an agent names the receipts that led to it, and is named by the next',
  async (t) => {
    const client = await mcp()
    asked.length = 0
    const run = await call(client, 'run_agent', { id: 2, input: 'speeches' })
    const actions = run._meta?.['openledger/actions'] as (Action & { hash: string })[]
    t.match(actions, [
      { agentId: '1', step: 0, tool: 'search_datanets', receipts: [], parent: ZERO_HASH },
      { agentId: '1', step: 1, tool: 'model', receipts: [hashOf('receipt 1')] },
      { agentId: '2', step: 0, tool: 'agent', receipts: [hashOf('receipt 1')] },
      { agentId: '2', step: 1, tool: 'model', receipts: [hashOf('receipt 2')] },
    ])
    for (const [i, { hash, ...action }] of actions.entries()) {
      t.equal(actionHash(action), hash, 'anyone can compute it')
      if (i > 0) t.equal(action.parent, actions[i - 1]?.hash)
    }
    t.same(
      asked.map(({ parentAction }) => parentAction),
      [actions[0]?.hash, actions[2]?.hash],
      'and receipts carry the action before theirs',
    )
    t.match(asked[0]?.prompt, /^You orate\.\nspeeches/)
    t.equal(run._meta?.['openledger/fee'], '22')
  },
)

/** The status, asked from this machine under another name: `fetch` lets nobody choose it. */
function statusUnder(host: string, more: Record<string, string>): Promise<number> {
  const { port } = new URL(url)
  const headers = {
    host,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...more,
  }
  const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
  return new Promise((resolve, reject) => {
    const asked = request({ port, path: '/mcp', method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject).end(body)
  })
}

t.test('a page that reached this machine by DNS rebinding is refused', async (t) => {
  const host = 'evil.example:9545'
  const origin = `http://${host}`
  t.equal(await statusUnder(host, { origin }), 403)
  for (const name of ['x-forwarded-for', 'forwarded'])
    t.equal(await statusUnder(host, { origin, [name]: 'for=192.0.2.1' }), 403, 'a page says so too')
  const behind = { origin, via: '1.1 proxy' }
  t.equal(await statusUnder(host, behind), 200, 'by a proxy it is the site that it says it is')
  t.equal(await statusUnder(host, {}), 200, 'programs send no origin')
  const own = new URL(url).host
  t.equal(await statusUnder(own, { origin: `http://${own}` }), 200)
})

t.test('a page of another site is refused, and a body that is too large', async (t) => {
  const post = (headers: Record<string, string>, body: string): Promise<Response> =>
    fetch(`${url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body,
    })
  t.equal((await post({ origin: 'http://evil.example' }, '{}')).status, 403)
  t.equal((await post({}, JSON.stringify({ x: 'y'.repeat(1024 * 1024) }))).status, 413)
  t.equal((await post({}, 'not json')).status, 400)
})

t.test('openledger mcp serves the same over standard input and output', async (t) => {
  const command = join(import.meta.dirname, '../../../scripts/openledger.mjs')
  const client = new Client({ name: 'judge', version: '1.0.0' })
  const args = ['--no-warnings', command, 'mcp', '--url', url]
  await client.connect(new StdioClientTransport({ command: process.execPath, args }))
  t.teardown(() => client.close())
  const { tools } = await client.listTools()
  t.equal(tools.length, 7)
  const agents = await call(client, 'list_agents', { limit: 1 })
  t.match(JSON.parse(agents.content[0]?.text ?? ''), [{ id: '6' }])
  const nobody = await call(client, 'get_agent', { id: 99 })
  t.match(nobody.content[0]?.text, /no agent 99/, 'what reverts over there is an answer here')
  const unserved = await call(client, 'ask_orator', { prompt: 'x' })
  t.ok(unserved.isError, 'this node has no /v1')
})

t.test('an A2A client reads the card, asks a model and runs an agent', async (t) => {
  const client = await new ClientFactory().createFromUrl(url)
  const card = await client.getAgentCard()
  t.same(
    card.skills.map(({ id }) => id),
    ['agent:6', 'agent:5', 'agent:4', 'agent:2', 'agent:1', `model:${artefact.modelId}`],
  )
  const send = async (text: string, metadata?: Record<string, unknown>) =>
    (await client.sendMessage({
      tenant: '',
      message: {
        messageId: crypto.randomUUID(),
        contextId: '',
        taskId: '',
        role: 1,
        parts: [
          {
            content: { $case: 'text', value: text },
            metadata: undefined,
            filename: '',
            mediaType: '',
          },
        ],
        metadata,
        extensions: [],
        referenceTaskIds: [],
      },
      configuration: undefined,
      metadata: undefined,
    } as never)) as unknown as {
      parts: { content: { value: string } }[]
      metadata: Record<string, never>
    }
  const plain = await send('abc')
  t.equal(plain.parts[0]?.content.value, 'cba')
  t.match(plain.metadata, { receipts: [{ receipt: { fee: '11' } }] })
  const run = await send('abc', { skill: 'agent:1' })
  t.match(run.metadata, { fee: '11', actions: [{ step: 0 }, { step: 1, tool: 'model' }] })
  t.match((await send('abc', { skill: 'agent:9' })).metadata, { error: { code: 'skill' } })
  const unpaid = await send('abc', { skill: 'model:unpaid' })
  t.match(unpaid.metadata, { error: { code: 'payment-required' } })
  t.equal(unpaid.parts[0]?.content.value, 'send a payment')
})

t.test('llms.txt names the doors, the models and the agents', async (t) => {
  const text = await (await fetch(`${url}/llms.txt`)).text()
  for (const part of [
    /^# OpenLedger\n\n> /,
    /\/mcp\)/,
    /agent-card\.json/,
    /- orator: 0x/,
    /- 1: Orator/,
  ])
    t.match(text, part)
})

t.test('a card goes into a data URI and comes out; what is none is no card', async (t) => {
  t.same(readCard(writeCard({ name: 'Ünïcode' })), { name: 'Ünïcode' })
  t.same(readCard('data:application/json,%7B%22a%22%3A1%7D'), { a: 1 })
  for (const uri of [
    '',
    'https://example.com/card.json',
    'data:application/json,[1]',
    'data:application/json;base64,!!',
  ])
    t.equal(readCard(uri), null, uri)
  t.equal(readCard(`data:application/json,${'x'.repeat(70_000)}`), null)
})

t.test('a run is bounded with all the agents that it calls', async (t) => {
  const eight = (step: object): object => program({ steps: Array.from({ length: 8 }, () => step) })
  for (const card of [eight({ tool: 'agent', agent: 8 }), eight({ tool: 'model' })])
    await world.send(alice, identity, 'register', [writeCard(card as never)])
  asked.length = 0
  const { isError, content } = await call(await mcp(), 'run_agent', { id: 7, input: 'x' })
  t.ok(isError)
  t.match(content[0]?.text, /a run has at most 32 steps, with those it calls/)
  t.equal(asked.length, 28, 'three calls and half of a fourth, which are four steps themselves')
})
