import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import type { P2P } from '../../../node/p2p/node.ts'
import {
  addressesOf,
  MemoryChain,
  makeBlock,
  makeChain,
  SEQUENCER_KEY,
  STRANGER_KEY,
  sign,
  startNode,
  until,
} from './support.ts'

/** Everyone in `nodes` hears of everything the first one publishes. */
async function meet(publisher: P2P, peers: number): Promise<void> {
  await until('subscriptions', () => publisher.subscribers('blocks').length === peers)
}

t.test('a signed block published by one node is imported by another', async (t) => {
  const chain = new MemoryChain()
  const sequencer = await startNode(t)
  await startNode(t, { sync: chain }, { staticPeers: addressesOf(sequencer) })
  await meet(sequencer, 1)
  const block = makeBlock(1n)
  t.equal(await sequencer.publishBlock(block, sign(block).signature), 1)
  await until('block 1', () => chain.head() === 1n)
  t.equal(chain.hashes[1], block.hash)
})

t.test('gossip goes on through a node in between', async (t) => {
  const first = await startNode(t)
  const middle = await startNode(t, {}, { staticPeers: addressesOf(first) })
  const last = await startNode(t, {}, { staticPeers: addressesOf(middle) })
  await meet(first, 1)
  await meet(middle, 2)
  const heard: string[] = []
  last.on('transactions', ({ raw, from }) => {
    heard.push(`${Buffer.from(raw)} from ${from}`)
  })
  // The mesh of the node in between forms at a heartbeat; until then it has nobody to pass on to.
  let sent = 0
  await until('a transaction', () => {
    void first.publishTransaction(utf8(`transaction ${sent++}`))
    return heard.length > 0
  })
  t.match(heard[0], new RegExp(`^transaction \\d+ from ${middle.id}$`))
})

t.test('a block that the sequencer did not sign is refused and its sender shut out', async (t) => {
  const chain = new MemoryChain()
  const victim = await startNode(t, { sync: chain })
  const liar = await startNode(t, {}, { bootstrap: addressesOf(victim) })
  await meet(liar, 1)
  const block = makeBlock(1n)
  await liar.publishBlock(block, sign(block, STRANGER_KEY).signature)
  await until('the liar to be gone', () => victim.peers().length === 0)
  t.equal(chain.head(), 0n)
  await t.rejects(victim.connect(addressesOf(liar)[0] as string), { code: 'unreachable' })
  t.same(victim.peers(), [])
})

t.test('a static peer is believed no more than others, and kept', async (t) => {
  const chain = new MemoryChain()
  const faulty = await startNode(t)
  const node = await startNode(t, { sync: chain }, { staticPeers: addressesOf(faulty) })
  await meet(faulty, 1)
  const block = makeBlock(1n)
  for (let salt = 10; salt < 15; salt++) {
    const forged = makeBlock(1n, { salt })
    await faulty.publishBlock(forged, sign(forged, STRANGER_KEY).signature)
  }
  await faulty.publishBlock(block, sign(block).signature)
  await until('the good block', () => chain.head() === 1n)
  t.equal(chain.hashes[1], block.hash)
  t.equal(node.peers()[0]?.peer, faulty.id)
})

t.test('a verdict reaches the others with the address that signed it', async (t) => {
  const validator = await startNode(t, {
    sign: (_kind, bytes) => localSigner(STRANGER_KEY).sign('envelope', bytes),
  })
  const other = await startNode(t, {}, { staticPeers: addressesOf(validator) })
  await meet(validator, 1)
  const signers: string[] = []
  other.on('verdicts', ({ signer, payload }) => {
    signers.push(`${signer} ${Buffer.from(payload)}`)
  })
  await validator.publish('verdicts', utf8('block 7: match'))
  await until('the verdict', () => signers.length > 0)
  t.same(signers, [`${addressOfKey(STRANGER_KEY)} block 7: match`])
  await t.rejects(other.publish('verdicts', utf8('x')), { code: 'bad-key' })
})

t.test('a node that joins late fetches what it missed', async (t) => {
  const full = new MemoryChain(makeChain(300))
  const sequencer = await startNode(t, { blocksByRange: full.blocksByRange })
  const chain = new MemoryChain()
  await startNode(t, { sync: chain }, { staticPeers: addressesOf(sequencer) })
  await until('all 300 blocks', () => chain.head() === 300n)
  t.same(chain.hashes, full.hashes)
})

t.test('a gap found by gossip is filled from a peer', async (t) => {
  const blocks = makeChain(20)
  const full = new MemoryChain()
  const sequencer = await startNode(t, { blocksByRange: full.blocksByRange })
  const chain = new MemoryChain()
  const follower = await startNode(t, { sync: chain }, { staticPeers: addressesOf(sequencer) })
  await meet(sequencer, 1)
  await until('the first question', () => follower.syncState.kind === 'idle')
  for (const block of blocks) full.append(sign(block), block)
  const newest = blocks[19] as (typeof blocks)[0]
  await sequencer.publishBlock(newest, sign(newest).signature)
  await until('all 20 blocks', () => chain.head() === 20n)
  t.equal(chain.hashes[20], newest.hash)
})

t.test('a peer that serves blocks of another signer is blamed; an honest one serves', async (t) => {
  const blocks = makeChain(10)
  const forged = blocks.map((block) => sign(block, STRANGER_KEY))
  const liar = await startNode(t, { blocksByRange: () => forged })
  const honest = await startNode(t, { blocksByRange: new MemoryChain(blocks).blocksByRange })
  const asking = await startNode(t)
  await asking.connect(addressesOf(liar)[0] as string)
  await t.rejects(asking.requestBlocks('any', 1n, 10), { code: 'wrong-answer' })
  await until('the liar to be gone', () => asking.peers().length === 0)
  await asking.connect(addressesOf(honest)[0] as string)
  t.equal((await asking.requestBlocks('any', 1n, 10)).length, 10)
})

t.test(
  'blocks signed before a rotation are served after it; the old key signs nothing newer',
  async (t) => {
    const blocks = makeChain(10)
    const signed = (until: number) =>
      blocks.map((block, i) => sign(block, i < until ? STRANGER_KEY : SEQUENCER_KEY))
    const old = addressOfKey(STRANGER_KEY)
    const pastSigners = {
      isKnown: (signer: string) => signer === old,
      mayHaveSigned: (signer: string, { header }: { header: { number: bigint } }) =>
        signer === old && header.number <= 4n,
    }
    const honest = await startNode(t, { blocksByRange: () => signed(4) })
    const liar = await startNode(t, { blocksByRange: () => signed(5) })
    const asking = await startNode(t, { pastSigners })
    for (const peer of [honest, liar]) await asking.connect(addressesOf(peer)[0] as string)
    t.equal((await asking.requestBlocks(honest.id, 1n, 10)).length, 10)
    await t.rejects(asking.requestBlocks(liar.id, 1n, 10), { code: 'wrong-answer' })
    const unaware = await startNode(t)
    await unaware.connect(addressesOf(honest)[0] as string)
    await t.rejects(unaware.requestBlocks(honest.id, 1n, 10), { code: 'wrong-answer' })
  },
)

t.test('answers that are no range are refused', async (t) => {
  const [one, two, three] = makeChain(3).map((block) => sign(block)) as ReturnType<typeof sign>[]
  const other = sign(makeBlock(2n, { salt: 9 }))
  const table = [
    { what: 'a gap', answer: [one, three] },
    { what: 'another start', answer: [two, three] },
    { what: 'a block that is no child', answer: [one, other] },
    { what: 'more than was asked', answer: [one, two, three] },
  ] as { what: string; answer: ReturnType<typeof sign>[] }[]
  for (const { what, answer } of table) {
    const peer = await startNode(t, { blocksByRange: () => answer })
    const asking = await startNode(t)
    await asking.connect(addressesOf(peer)[0] as string)
    await t.rejects(asking.requestBlocks(peer.id, 1n, 2), { code: 'wrong-answer' }, what)
  }
})

t.test('a lost static peer is found again', async (t) => {
  const dir = t.testdir()
  const before = await startNode(t, {}, { dataDir: dir })
  const follower = await startNode(t, {}, { staticPeers: addressesOf(before) })
  await until('the first meeting', () => follower.peers().length === 1)
  const listen = [(addressesOf(before)[0] as string).replace(/\/p2p\/.*/, '')]
  await before.stop()
  await until('the loss', () => follower.peers().length === 0)
  const after = await startNode(t, {}, { dataDir: dir, listen })
  t.equal(after.id, before.id, 'the peer key was kept')
  await until('the second meeting', () => follower.peers().length === 1)
  await after.stop()
})

t.test('a data directory with a broken key is an error that keeps the file', async (t) => {
  const dir = t.testdir({ 'p2p-key': 'not a key' })
  await t.rejects(startNode(t, {}, { dataDir: dir }), { code: 'bad-key' })
})

t.test('addresses that name no peer are refused at the door', async (t) => {
  for (const bad of ['127.0.0.1:9000', '/ip4/127.0.0.1/tcp/9000', '']) {
    await t.rejects(startNode(t, {}, { staticPeers: [bad] }), { code: 'bad-address' }, bad)
  }
})

t.test('a peer that hangs up while its answer is made ends it at once', async (t) => {
  const left = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  // The next piece never comes: an engine in the middle of a long one.
  const pieces: AsyncIterator<Uint8Array> = {
    next: () => {
      begun.resolve()
      return new Promise(() => {})
    },
    return: async () => {
      left.resolve()
      return { done: true, value: undefined }
    },
  }
  const provider = await startNode(t, {
    inference: () => ({ [Symbol.asyncIterator]: () => pieces }),
  })
  const asker = await startNode(t)
  const hangUp = new AbortController()
  const answer = asker.askInference(
    { peer: provider.id, address: addressesOf(provider)[0] as string },
    { head: utf8('{}'), body: utf8('{}') },
    hangUp.signal,
  )
  const first = answer.next()
  await begun.promise
  hangUp.abort()
  await t.rejects(first)
  await left.promise
  t.pass('the engine is told')
})
