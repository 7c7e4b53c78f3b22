import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { multiaddr } from '@multiformats/multiaddr'
import t from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import type { P2P } from '../../../node/p2p/node.ts'
import { PEER_BOOK_MAX } from '../../../node/p2p/options.ts'
import { PeerBook } from '../../../node/p2p/peer-book.ts'
import { type KnownPeer, openPeerRecord } from '../../../node/p2p/peer-record.ts'
import { addressesOf, startNode, until } from './support.ts'

async function recordOf(addresses: readonly string[], seqNumber = 1n): Promise<Uint8Array> {
  const key = await generateKeyPair('Ed25519')
  const record = new PeerRecord({
    peerId: peerIdFromPrivateKey(key),
    multiaddrs: addresses.map((text) => multiaddr(text)),
    seqNumber,
  })
  return (await RecordEnvelope.seal(record, key)).marshal()
}

function recordsIn(dataDir: string): number {
  const path = join(dataDir, 'peers.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).records.length : 0
}

const knows = (node: P2P, other: P2P) => node.peers().some(({ peer }) => peer === other.id)

t.test('nodes that know one bootstrap peer find each other', async (t) => {
  const bootstrap = await startNode(t)
  const options = { bootstrap: addressesOf(bootstrap) }
  const nodes = [
    await startNode(t, {}, options),
    await startNode(t, {}, options),
    await startNode(t, {}, options),
  ] as [P2P, P2P, P2P]
  await until('everybody to know everybody', () =>
    nodes.every((node) => nodes.every((other) => other === node || knows(node, other))),
  )
  t.ok(nodes.every((node) => knows(node, bootstrap)))
})

t.test('a node that comes back finds its peers without the bootstrap peer', async (t) => {
  const dataDir = t.testdir()
  const bootstrap = await startNode(t)
  const friend = await startNode(t, {}, { bootstrap: addressesOf(bootstrap) })
  const before = await startNode(t, {}, { dataDir, bootstrap: addressesOf(bootstrap) })
  await until('the two to meet', () => knows(before, friend))
  await until('both to be in the book', () => recordsIn(dataDir) === 2)
  await before.stop()
  await bootstrap.stop()
  const after = await startNode(t, {}, { dataDir })
  t.equal(after.id, before.id)
  await until('the friend to be found again', () => knows(after, friend))
  await after.stop()
})

t.test('a node with enough peers looks for no more', async (t) => {
  const bootstrap = await startNode(t)
  const content = await startNode(t, {}, { bootstrap: addressesOf(bootstrap), peersTarget: 1 })
  const seeking = await startNode(t, {}, { bootstrap: addressesOf(bootstrap), peersTarget: 2 })
  // Who wants two finds the other; who is content with one never dials it.
  await until('the second connection', () => knows(seeking, content) && knows(content, seeking))
  t.same(
    content
      .peers()
      .filter(({ peer }) => peer === seeking.id)
      .map(({ direction }) => direction),
    ['inbound'],
  )
})

t.test('a denied peer is not dialled though others name it', async (t) => {
  const bootstrap = await startNode(t)
  const shunned = await startNode(t, {}, { bootstrap: addressesOf(bootstrap), peersTarget: 0 })
  await until('the bootstrap peer to know it', () => knows(bootstrap, shunned))
  const node = await startNode(t, {}, { bootstrap: addressesOf(bootstrap), deny: [shunned.id] })
  const third = await startNode(t, {}, { bootstrap: addressesOf(bootstrap) })
  await until('the third to be known', () => knows(node, third))
  t.notOk(knows(node, shunned))
})

t.test('a record signed by another, of another kind, or too large is refused', async (t) => {
  const [mine, theirs] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
  const record = new PeerRecord({
    peerId: peerIdFromPrivateKey(theirs),
    multiaddrs: [multiaddr('/ip4/203.0.113.9/tcp/1')],
    seqNumber: 1n,
  })
  const forged = (await RecordEnvelope.seal(record, mine)).marshal()
  const many = await recordOf(Array.from({ length: 17 }, (_, i) => `/ip4/203.0.113.9/tcp/${i + 1}`))
  const good = await recordOf(['/ip4/203.0.113.9/tcp/1'])
  const flipped = Uint8Array.from(good)
  flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1
  for (const bad of [
    forged,
    many,
    flipped,
    new Uint8Array(5_000),
    new Uint8Array(),
    good.slice(0, 40),
  ]) {
    await t.rejects(openPeerRecord(bad), { code: 'bad-message' })
  }
  t.equal((await openPeerRecord(good)).addresses.length, 1)
})

t.test('the book keeps the newest peers, and only so many', async (t) => {
  const dataDir = t.testdir()
  const book = await PeerBook.open(dataDir, silentLog)
  const known: KnownPeer[] = []
  for (let i = 0; i < PEER_BOOK_MAX + 3; i++) {
    known.push(await openPeerRecord(await recordOf([`/ip4/203.0.113.9/tcp/${i + 1}`])))
  }
  for (const peer of known) book.note(peer)
  book.note(known[5] as KnownPeer)
  book.save()
  const again = (await PeerBook.open(dataDir, silentLog)).list().map(({ peer }) => peer)
  t.equal(again.length, PEER_BOOK_MAX)
  t.equal(again[0], known[5]?.peer)
  t.notOk(again.includes(known[0]?.peer as string))
})

t.test('a broken book is said and started without', async (t) => {
  const dataDir = t.testdir({ 'peers.json': '{"version":1,"records":["0x12' })
  const said: string[] = []
  const log = { ...silentLog, warn: (event: string) => void said.push(event) }
  const book = await PeerBook.open(dataDir, log)
  t.same(book.list(), [])
  t.same(said, ['known peers not read; starting without them'])
  book.note(await openPeerRecord(await recordOf(['/ip4/203.0.113.9/tcp/1'])))
  book.save()
  t.equal(JSON.parse(readFileSync(join(dataDir, 'peers.json'), 'utf8')).records.length, 1)
  writeFileSync(
    join(dataDir, 'peers.json'),
    JSON.stringify({ version: 1, records: [toHex(new Uint8Array(9))] }),
  )
  t.same((await PeerBook.open(dataDir, log)).list(), [])
})
