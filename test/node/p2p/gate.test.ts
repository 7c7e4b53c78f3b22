import { multiaddr } from '@multiformats/multiaddr'
import t from 'tap'
import { createGate, isPrivate } from '../../../node/p2p/gate.ts'
import { addressesOf, startNode } from './support.ts'

const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const OTHER = '12D3KooWJWEKvSFbben74C7H4YtKjhPMTDxd7gP7zxWSUEeF27st'
const at = (ip: string) => multiaddr(`/${ip.includes(':') ? 'ip6' : 'ip4'}/${ip}/tcp/9222`)

t.test('with no lists everybody may connect', async (t) => {
  const gate = createGate({ allow: [], deny: [] })
  t.ok(gate.admits(PEER, at('203.0.113.9')))
  t.notOk(gate.deniesAddress(at('203.0.113.9')))
})

t.test('the deny list shuts out peers, addresses and subnets', async (t) => {
  const gate = createGate({
    allow: [],
    deny: [PEER, '203.0.113.9', '198.51.100.0/24', '2001:db8::/32'],
  })
  t.notOk(gate.admits(PEER, at('192.0.2.1')))
  t.ok(gate.admits(OTHER, at('192.0.2.1')))
  for (const denied of ['203.0.113.9', '198.51.100.77', '2001:db8::1']) {
    t.ok(gate.deniesAddress(at(denied)), denied)
    t.notOk(gate.admits(OTHER, at(denied)), denied)
  }
  for (const free of ['203.0.113.10', '198.51.101.1', '2001:db9::1']) {
    t.notOk(gate.deniesAddress(at(free)), free)
  }
})

t.test('with an allow list only those on it connect, by name or by address', async (t) => {
  const gate = createGate({ allow: [PEER, '10.0.0.0/8'], deny: ['10.9.0.0/16'] })
  t.ok(gate.admits(PEER, at('203.0.113.9')))
  t.ok(gate.admits(OTHER, at('10.1.2.3')))
  t.notOk(gate.admits(OTHER, at('203.0.113.9')))
  t.notOk(gate.admits(OTHER, at('10.9.2.3')), 'denied counts more than allowed')
  t.notOk(gate.admits(OTHER, multiaddr('/dns4/example.org/tcp/1')), 'a name is no address')
})

t.test('an entry that is neither peer, address nor subnet is named', async (t) => {
  for (const bad of ['', 'localhost', '10.0.0.0/33', '10.0.0/8', '300.1.1.1', '::1/129', 'Qm']) {
    t.throws(() => createGate({ allow: [], deny: [bad] }), {
      code: 'bad-address',
      message: `deny list: '${bad}'`,
    })
  }
  t.throws(() => createGate({ allow: Array(1_025).fill('10.0.0.1'), deny: [] }), {
    code: 'bad-argument',
  })
})

t.test('private ranges are known', async (t) => {
  for (const inside of [
    '127.0.0.1',
    '10.1.1.1',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.1.1',
    '::1',
    'fd00::1',
    'fe80::1',
  ]) {
    t.ok(isPrivate(at(inside)), inside)
  }
  for (const outside of ['172.32.0.1', '8.8.8.8', '2606:4700::1111']) {
    t.notOk(isPrivate(at(outside)), outside)
  }
})

t.test('a denied peer cannot connect to a node, whoever dials', async (t) => {
  const stranger = await startNode(t)
  const node = await startNode(t, {}, { deny: [stranger.id] })
  await stranger.connect(addressesOf(node)[0] as string).catch(() => {})
  await t.rejects(node.connect(addressesOf(stranger)[0] as string), { code: 'unreachable' })
  t.same(node.peers(), [])
})

t.test('a static peer gets in though the allow list does not name it', async (t) => {
  const friend = await startNode(t)
  const node = await startNode(t, {}, { allow: [PEER], staticPeers: addressesOf(friend) })
  const stranger = await startNode(t)
  await node.connect(addressesOf(friend)[0] as string)
  await stranger.connect(addressesOf(node)[0] as string).catch(() => {})
  await t.rejects(node.connect(addressesOf(stranger)[0] as string), { code: 'unreachable' })
  t.same(
    node.peers().map(({ peer }) => peer),
    [friend.id],
  )
})
