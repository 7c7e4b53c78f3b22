import { generateKeyPair } from '@libp2p/crypto/keys'
import { RPC } from '@libp2p/gossipsub/message'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import type { Libp2p } from 'libp2p'
import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { encodeMessage } from '../../../node/p2p/codec.ts'
import { createHost, type Host } from '../../../node/p2p/host.ts'
import type { P2P } from '../../../node/p2p/node.ts'
import { DEFAULT_OPTIONS } from '../../../node/p2p/options.ts'
import { blocksProtocol, contentProtocol, topicOf } from '../../../node/p2p/topics.ts'
import {
  addressesOf,
  CHAIN_ID,
  MemoryChain,
  makeChain,
  startBare,
  startNode,
  until,
} from './support.ts'

const MESHSUB = '/meshsub/1.2.0'

/** A host as the node makes it, and nothing else of the node. */
async function startHost(t: { teardown(fn: () => unknown): void }): Promise<Host> {
  const host = await createHost(
    { ...DEFAULT_OPTIONS, heartbeatMs: 100 },
    {
      chainId: CHAIN_ID,
      key: await generateKeyPair('Ed25519'),
      admits: () => true,
      deniesAddress: () => false,
      ledgerScore: () => 0,
    },
  )
  await host.start()
  t.teardown(() => host.stop())
  return host
}

/** Bytes on a new gossip stream, framed with a varint as gossipsub frames them. */
async function sendGossip(from: Libp2p, to: Host, payload: Uint8Array, length = payload.length) {
  const stream = await from.dialProtocol(to.getMultiaddrs(), MESHSUB)
  const prefix: number[] = []
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      prefix.push(rest)
      break
    }
    prefix.push((rest % 128) + 128)
  }
  stream.send(Uint8Array.of(...prefix))
  stream.send(payload)
  return stream
}

function topicsKnownTo(host: Host): string[] {
  return [...(host.services.pubsub as unknown as { topics: Map<string, unknown> }).topics.keys()]
}

t.test('a flood of subscriptions to made-up topics is not remembered', async (t) => {
  const victim = await startHost(t)
  const attacker = await startBare(t)
  const subscriptions = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ subscribe: true, topic: `junk ${i} ${count}` }))
  const real = { subscribe: true, topic: topicOf(CHAIN_ID, 'blocks') }
  const rpc = (list: { subscribe: boolean; topic: string }[]) =>
    RPC.encode({ subscriptions: list, messages: [] })
  await sendGossip(attacker, victim, rpc(subscriptions(10_000)))
  await sendGossip(attacker, victim, rpc([...subscriptions(63), real]))
  await until('the allowed topic', () => topicsKnownTo(victim).length > 0)
  t.same(topicsKnownTo(victim), [real.topic])
})

t.test('a gossip frame over the limit cuts the sender off before it is buffered', async (t) => {
  const victim = await startHost(t)
  const attacker = await startBare(t)
  await sendGossip(attacker, victim, RPC.encode({ subscriptions: [], messages: [] }))
  const known = () => victim.services.pubsub.getPeers().some((id) => id.equals(attacker.peerId))
  await until('the attacker to be a gossip peer', known)
  await sendGossip(attacker, victim, new Uint8Array(1_000), 20 * 1024 * 1024)
  await until('the attacker to be none', () => !known())
})

/** Sends raw bytes as a request and gives what comes back, or the error. */
async function ask(
  from: Libp2p,
  to: P2P,
  protocol: string,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const stream = await from.dialProtocol(multiaddr(addressesOf(to)[0] as string), protocol)
  const chunks: Uint8Array[] = []
  const ended = new Promise<void>((resolve) => {
    stream.addEventListener('message', (event) => chunks.push(event.data.subarray()))
    stream.addEventListener('remoteCloseWrite', () => resolve())
    stream.addEventListener('close', () => resolve())
  })
  stream.send(bytes)
  await stream.close()
  await ended
  return new Uint8Array(Buffer.concat(chunks))
}

function frame(payload: Uint8Array, length = payload.length): Uint8Array {
  const out = Buffer.alloc(4 + payload.length)
  out.writeUInt32BE(length)
  out.set(payload, 4)
  return new Uint8Array(out)
}

t.test('a request over its size is refused and blamed', async (t) => {
  const victim = await startNode(t)
  const attacker = await startBare(t)
  t.same(
    await ask(attacker, victim, blocksProtocol(CHAIN_ID), frame(new Uint8Array(9), 2 ** 31)),
    [],
  )
  t.ok((victim.peers()[0]?.score ?? 0) < -40)
  t.same(await ask(attacker, victim, contentProtocol(CHAIN_ID), frame(new Uint8Array(257))), [])
  await until('the attacker to be gone', () => victim.peers().length === 0)
})

t.test('any bytes as a request: no answer but a proper one, and the node serves on', async (t) => {
  const blocks = makeChain(3)
  const victim = await startNode(t, { blocksByRange: new MemoryChain(blocks).blocksByRange })
  const honest = await startNode(t, {}, { bootstrap: addressesOf(victim) })
  const good = encodeMessage('blocksRequest', { start: 1n, count: 2 })
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 255 }).map((bytes) => frame(bytes)),
    fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => {
      const changed = good.slice()
      changed[at] = byte
      return frame(changed)
    }),
  )
  const samples = fc.sample(garbage, { numRuns: 40, seed: 7 })
  for (let i = 0; i < samples.length; i += 2) {
    // A fresh attacker each time: two strikes and it is out.
    const attacker = await startBare({ teardown: () => {} })
    for (const bytes of samples.slice(i, i + 2)) {
      await ask(attacker, victim, blocksProtocol(CHAIN_ID), bytes).catch(() => {})
    }
    await attacker.stop()
  }
  await until('the honest peer', () => honest.peers().length === 1)
  t.equal((await honest.requestBlocks('any', 1n, 3)).length, 3)
})

t.test('a peer that asks too often is told so', async (t) => {
  const victim = await startNode(t)
  const asking = await startBare(t)
  const request = frame(encodeMessage('blocksRequest', { start: 1n, count: 1 }))
  const answers: string[] = []
  for (let i = 0; i < 16; i++) {
    const answer = await ask(asking, victim, blocksProtocol(CHAIN_ID), request)
    answers.push(Buffer.from(answer).toString('hex'))
  }
  t.same(answers, [...Array(15).fill('0000000100'), '0000000102'])
})

t.test('a peer of another chain has nothing to ask here', async (t) => {
  const victim = await startNode(t)
  const other = await startBare(t)
  await t.rejects(ask(other, victim, blocksProtocol(CHAIN_ID + 1n), utf8('x')))
})
