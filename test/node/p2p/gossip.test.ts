import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { encodeMessage } from '../../../node/p2p/codec.ts'
import { blockFinding, Gossip, type GossipModules, SeenBlocks } from '../../../node/p2p/gossip.ts'
import { signBlock, signEnvelope } from '../../../node/p2p/signature.ts'
import {
  CHAIN_ID,
  makeBlock,
  NOW_S,
  SEQUENCER,
  SEQUENCER_KEY,
  STRANGER_KEY,
  sign,
  until,
  verified,
} from './support.ts'

const nowMs = Number(NOW_S) * 1000

function gossip(change: Partial<GossipModules> = {}): Gossip {
  return new Gossip({
    chainId: CHAIN_ID,
    signer: () => SEQUENCER,
    judges: {},
    isTrusted: () => false,
    clock: () => nowMs,
    log: silentLog,
    ...change,
  })
}

t.test('a block is judged by its age', async (t) => {
  const table = [
    { ageS: 0n, finding: 'valid' },
    { ageS: 60n, finding: 'valid' },
    { ageS: 61n, finding: 'too-old' },
    { ageS: -5n, finding: 'valid' },
    { ageS: -6n, finding: 'too-far-ahead' },
  ]
  for (const { ageS, finding } of table) {
    const block = verified(makeBlock(1n, { timestamp: NOW_S - ageS }))
    t.equal(blockFinding(block, { seen: new SeenBlocks(), nowMs }), finding, `${ageS} s old`)
  }
})

t.test('a height takes five different blocks and no sixth', async (t) => {
  const seen = new SeenBlocks()
  for (let salt = 0; salt < 5; salt++) {
    const block = verified(makeBlock(7n, { salt }))
    t.equal(blockFinding(block, { seen, nowMs }), 'valid')
    seen.add(block)
    t.equal(blockFinding(block, { seen, nowMs }), 'seen')
  }
  t.equal(blockFinding(verified(makeBlock(7n, { salt: 5 })), { seen, nowMs }), 'too-many-at-height')
  t.equal(blockFinding(verified(makeBlock(8n, { salt: 5 })), { seen, nowMs }), 'valid')
})

t.test('every kind of bad message is rejected, and what is only unwelcome ignored', async (t) => {
  const block = makeBlock(1n)
  const signed = sign(block)
  const garbage = { block: utf8('no block'), signature: sign(block).signature }
  const payload = utf8('a verdict')
  const envelope = {
    payload,
    signature: signEnvelope(STRANGER_KEY, { chainId: CHAIN_ID, kind: 'verdicts', payload }),
  }
  const unsigned = { payload, signature: new Uint8Array(65) }
  const table = [
    { kind: 'blocks', data: encodeMessage('blocks', signed), verdict: 'accept' },
    // Once more: the router drops equal messages itself, another path may still bring one.
    { kind: 'blocks', data: encodeMessage('blocks', signed), verdict: 'ignore' },
    { kind: 'blocks', data: encodeMessage('blocks', garbage), verdict: 'reject' },
    { kind: 'blocks', data: encodeMessage('blocks', sign(block, STRANGER_KEY)), verdict: 'reject' },
    { kind: 'blocks', data: utf8('junk'), verdict: 'reject' },
    { kind: 'blocks', data: new Uint8Array(), verdict: 'reject' },
    { kind: 'transactions', data: encodeMessage('blocks', signed), verdict: 'reject' },
    {
      kind: 'transactions',
      data: encodeMessage('transactions', { raw: payload }),
      verdict: 'accept',
    },
    { kind: 'verdicts', data: encodeMessage('verdicts', envelope), verdict: 'accept' },
    { kind: 'verdicts', data: encodeMessage('verdicts', unsigned), verdict: 'reject' },
  ] as const
  const receiver = gossip()
  for (const [i, { kind, data, verdict }] of table.entries()) {
    t.equal(await receiver.receive(kind, data, 'peer'), verdict, `row ${i}`)
  }
})

t.test(
  'a signed block that does not decode is the signer talking nonsense: rejected',
  async (t) => {
    const nonsense = utf8('signed by the sequencer, and still no block')
    const signature = signBlock(SEQUENCER_KEY, CHAIN_ID, nonsense)
    const data = encodeMessage('blocks', { block: nonsense, signature })
    t.equal(await gossip().receive('blocks', data, 'peer'), 'reject')
  },
)

t.test('the owner of a message decides, and its own failure blames nobody', async (t) => {
  const data = encodeMessage('transactions', { raw: utf8('tx') })
  const verdictFor = (judge: () => 'valid' | 'unwanted' | 'bad-encoding') =>
    gossip({ judges: { transactions: judge } }).receive('transactions', data, 'peer')
  t.equal(await verdictFor(() => 'valid'), 'accept')
  t.equal(await verdictFor(() => 'unwanted'), 'ignore')
  t.equal(await verdictFor(() => 'bad-encoding'), 'reject')
  const broken = () => {
    throw new Error('database closed')
  }
  t.equal(await verdictFor(broken), 'ignore')
})

t.test('a signer that changes is followed at once', async (t) => {
  let signer = SEQUENCER
  const receiver = gossip({ signer: () => signer })
  const data = encodeMessage('blocks', sign(makeBlock(1n)))
  signer = `0x${'11'.repeat(20)}`
  t.equal(await receiver.receive('blocks', data, 'peer'), 'reject')
  signer = SEQUENCER
  t.equal(await receiver.receive('blocks', data, 'peer'), 'accept')
})

t.test('a peer over its rate is ignored, another is not', async (t) => {
  const receiver = gossip()
  const data = encodeMessage('transactions', { raw: utf8('tx') })
  const verdicts = new Set<string>()
  for (let i = 0; i < 2_000; i++) verdicts.add(await receiver.receive('transactions', data, 'a'))
  t.same([...verdicts], ['accept'])
  t.equal(await receiver.receive('transactions', data, 'a'), 'ignore')
  t.equal(await receiver.receive('transactions', data, 'b'), 'accept')
})

t.test('a subscriber that throws does not keep the next from hearing', async (t) => {
  const receiver = gossip()
  const heard: string[] = []
  receiver.on('transactions', () => {
    throw new Error('mine')
  })
  const leave = receiver.on('transactions', ({ raw }) => {
    heard.push(Buffer.from(raw).toString())
  })
  const send = (text: string) =>
    receiver.receive('transactions', encodeMessage('transactions', { raw: utf8(text) }), 'peer')
  await send('one')
  await until('the event', () => heard.length === 1)
  leave()
  await send('two')
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.same(heard, ['one'])
})
