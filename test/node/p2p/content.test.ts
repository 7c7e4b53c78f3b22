import t from 'tap'
import { type Hex, keccakHex } from '../../../node/base/bytes.ts'
import { Assembly } from '../../../node/p2p/content.ts'
import type { P2P } from '../../../node/p2p/node.ts'
import { addressesOf, contentOf, sameBytes, startNode, until } from './support.ts'

const MIB = 1024 * 1024
const piece = new Uint8Array(3 * MIB + 17).map((_, i) => (i * 2654435761) >>> 24)
const hash = keccakHex(piece)

async function connect(node: P2P, ...peers: P2P[]): Promise<void> {
  for (const address of addressesOf(...peers)) await node.connect(address)
}

// More than one request of 2 MiB.
t.test('three megabytes come over and are what their hash says', async (t) => {
  const honest = await startNode(t, { content: contentOf(piece) })
  const node = await startNode(t)
  await connect(node, honest)
  t.ok(sameBytes(await node.fetchContent(hash), piece))
})

t.test('content of no bytes and of exactly one chunk', async (t) => {
  const pieces = [new Uint8Array(), piece.slice(0, 256 * 1024)]
  const honest = await startNode(t, { content: contentOf(...pieces) })
  const node = await startNode(t)
  await connect(node, honest)
  for (const bytes of pieces) t.ok(sameBytes(await node.fetchContent(keccakHex(bytes)), bytes))
})

t.test('a peer that flips a byte is shut out, and an honest one serves', async (t) => {
  const flipped = piece.slice()
  flipped[2_000_000] = (flipped[2_000_000] as number) ^ 1
  const lies = { size: async () => flipped.length, read: rangeOf(flipped) }
  const liar = await startNode(t, { content: lies })
  const honest = await startNode(t, { content: contentOf(piece) })
  const node = await startNode(t)
  await connect(node, liar)
  await t.rejects(node.fetchContent(hash), { code: 'wrong-content' })
  await until('the liar to be gone', () => node.peers().length === 0)
  await connect(node, honest)
  t.ok(sameBytes(await node.fetchContent(hash), piece))
})

t.test('when a peer breaks off, the next goes on from there', async (t) => {
  let served = 0
  const breaking = {
    size: async () => piece.length,
    read: async (_: Hex, offset: number, length: number) => {
      if (offset >= MIB) throw new Error('disk gone')
      served += length
      return piece.subarray(offset, offset + length)
    },
  }
  const offsets: number[] = []
  const whole = contentOf(piece)
  const first = await startNode(t, { content: breaking })
  const second = await startNode(t, {
    content: {
      ...whole,
      read: (name, offset, length) => {
        offsets.push(offset)
        return whole.read(name, offset, length)
      },
    },
  })
  const node = await startNode(t)
  await connect(node, first, second)
  t.ok(sameBytes(await node.fetchContent(hash), piece))
  t.ok(served >= MIB, 'the first peer was asked')
  t.ok((offsets[0] as number) > 0, 'the second was not asked for what was there')
})

t.test('a liar that breaks off spoils nothing for good, and the honest peer stays', async (t) => {
  let lied = 0
  const lies = {
    size: async () => piece.length,
    read: async (_: Hex, offset: number, length: number) => {
      if (offset >= MIB) throw new Error('gone')
      lied += length
      return new Uint8Array(length)
    },
  }
  const liar = await startNode(t, { content: lies })
  const honest = await startNode(t, { content: contentOf(piece) })
  const node = await startNode(t)
  await connect(node, liar, honest)
  t.ok(sameBytes(await node.fetchContent(hash), piece))
  t.ok(lied > 0, 'the liar was asked')
  t.ok(node.peers().some(({ peer }) => peer === honest.id))
})

t.test('a peer that sends crumbs, or less than it has, is shut out', async (t) => {
  const whole = contentOf(piece)
  const table = [
    { what: 'crumbs', cut: (length: number) => Math.min(length, 100) },
    { what: 'nothing', cut: () => 0 },
  ]
  for (const { what, cut } of table) {
    const read = (name: Hex, offset: number, length: number) =>
      whole.read(name, offset, cut(length))
    const stingy = await startNode(t, { content: { ...whole, read } })
    const node = await startNode(t)
    await connect(node, stingy)
    await t.rejects(node.fetchContent(hash), { code: 'wrong-answer' }, what)
    await until('the peer to be gone', () => node.peers().length === 0)
  }
})

t.test('what nobody has, what is too large and what is no hash are told apart', async (t) => {
  const honest = await startNode(t, { content: contentOf(piece) })
  const node = await startNode(t)
  await t.rejects(node.fetchContent(hash), { code: 'no-peer' })
  await connect(node, honest)
  await t.rejects(node.fetchContent(keccakHex(Uint8Array.of(1))), { code: 'not-found' })
  await t.rejects(node.fetchContent(hash, { bytesMax: MIB }), { code: 'content-too-large' })
  await t.rejects(node.fetchContent('0x12'), { code: 'bad-argument' })
  t.equal(node.peers()[0]?.peer, honest.id, 'and nobody is blamed')
})

t.test('an assembly takes no byte more than the size it was told', async (t) => {
  const assembly = new Assembly(hash, 100)
  t.throws(() => assembly.expect(101n), { code: 'content-too-large' })
  assembly.expect(3n)
  assembly.add('a', Uint8Array.of(1, 2))
  t.throws(() => assembly.add('a', Uint8Array.of(3, 4)), { code: 'wrong-answer' })
  t.throws(() => assembly.add('a', new Uint8Array()), { code: 'wrong-answer' })
  t.throws(() => assembly.expect(4n), { code: 'disagreement' })
  t.equal(assembly.offset, 0, 'from here on nobody builds on the bytes of another')
})

t.test('an assembly blames a lone liar and nobody else', async (t) => {
  const good = Uint8Array.of(1, 2)
  const assembly = new Assembly(keccakHex(good), 100)
  const give = (peer: string, ...bytes: number[]) => {
    assembly.begin(peer)
    assembly.expect(2n)
    for (const byte of bytes) assembly.add(peer, Uint8Array.of(byte))
  }
  give('a', 1)
  give('b', 9)
  t.same(await assembly.finish(), { liar: undefined }, 'a or b')
  give('a', 1)
  give('b', 9, 9)
  t.same(await assembly.finish(), { liar: 'b' }, 'b alone')
  give('a', 1, 2)
  t.same(await assembly.finish(), { bytes: good })
})

function rangeOf(bytes: Uint8Array) {
  return async (_: Hex, offset: number, length: number): Promise<Uint8Array> =>
    bytes.subarray(offset, offset + length)
}
