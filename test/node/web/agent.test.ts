/** Registration files of strangers: what is well formed is shown, and none breaks the list of all agents. */
import t from 'tap'
import { type Agent, decodeCard, encodeCard, findAgents } from '../../../node/web/app/lib/agent.ts'

const agentOf = (id: bigint, card: object): Agent => {
  const uri = encodeCard(card)
  return { id, owner: '0x01', wallet: null, uri, card: decodeCard(uri), model: null }
}
const PROGRAM = { prompt: 'Be short.', model: 'orator', steps: [{ tool: 'model' }] }

t.test('a registration file is taken as far as its fields have their types', async (t) => {
  const card = { name: 'Guide', description: 'Of the coast.', openledger: PROGRAM }
  t.same(decodeCard(encodeCard(card)), card)
  const policy = { maxTokens: 9, temperature: 0, feeMax: '12' }
  const limited = { openledger: { ...PROGRAM, policy } }
  t.same(decodeCard(encodeCard(limited)), limited)
  for (const openledger of [
    null,
    'model',
    [],
    { steps: 'model' },
    { steps: [null] },
    { prompt: {} },
    { model: { toString: 1 } },
    { policy: { feeMax: 'much' } },
    { policy: { maxTokens: '9' } },
  ])
    t.same(decodeCard(encodeCard({ name: 'x', openledger })), { name: 'x' })
  for (const uri of [
    'https://example.org/card.json',
    'data:application/json,[]',
    'data:text/html,',
  ])
    t.equal(decodeCard(uri), null)
})

t.test('agents are found beside one whose fields are no text', async (t) => {
  const odd = { toString: 1, valueOf: 1 }
  const good = agentOf(2n, { name: 'Guide', description: 'Of the coast.' })
  const bad = agentOf(1n, { name: odd, description: odd, openledger: { model: odd } })
  t.same(findAgents([good, bad], ''), [good, bad])
  t.same(findAgents([good, bad], 'COAST'), [good])
})
