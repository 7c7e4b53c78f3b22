/**
 * Three followers in processes of their own: in step by gossip, cut off from the sequencer, back again; and two
 * that start empty, one with peers and one with L1 alone. The way to the sequencer leads through a gate that
 * the test opens and closes; the sequencer announces the gate's address, so nobody knows another way.
 */
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { createRpc, until } from '../../scripts/devnet/economy.ts'
import { freePort, type Role, startRole } from '../../scripts/devnet/roles.ts'
import { startL1 } from '../../scripts/devnet/stack.ts'
import { workDir } from '../support/dir.ts'

type BlockView = { readonly hash: string; readonly stateRoot: string; readonly number: string }

/** A TCP relay that can be shut: what is open is cut, what comes is refused. */
class Gate {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #open = true

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(target: number, port: number): Promise<Gate> {
    const server = createServer()
    const gate = new Gate(server)
    server.on('connection', (client) => gate.#relay(client, target))
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return gate
  }

  #relay(client: Socket, target: number): void {
    client.on('error', () => client.destroy())
    if (!this.#open) return void client.destroy()
    const server = tcpConnect(target, '127.0.0.1')
    server.on('error', () => client.destroy())
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }

  shut(): void {
    this.#open = false
    for (const socket of this.#sockets) socket.destroy()
  }

  open(): void {
    this.#open = true
  }

  async close(): Promise<void> {
    this.shut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

const head = async ({ url }: Role): Promise<number> =>
  Number(await createRpc(url)<string>('eth_blockNumber'))
const blockAt = ({ url }: Role, number: number): Promise<BlockView | null> =>
  createRpc(url)<BlockView | null>('eth_getBlockByNumber', `0x${number.toString(16)}`, false)
const peersOf = async ({ url }: Role): Promise<number> =>
  Number(await createRpc(url)<string>('net_peerCount'))

t.test('followers keep in step through a partition', { timeout: 420_000 }, async (t) => {
  const dir = workDir(t)
  const { l1 } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
  t.teardown(() => l1.stop())
  const [inner, outer] = [await freePort(0), await freePort(0)]
  const gate = await Gate.to(inner, outer)
  t.teardown(() => gate.close())
  const common = {
    rollup: join(dir, 'rollup.json'),
    l1Rpc: [l1.rpc],
    l1Beacon: [l1.beacon],
    l1StrictRoots: false,
    rpcPort: 0,
  }
  const sequencer = await startRole('sequencer', dir, {
    ...common,
    p2pPort: inner,
    p2pAnnounce: [`/ip4/127.0.0.1/tcp/${outer}`],
    batchIntervalMs: 2_000,
    batchDa: 'blobs',
    sequencerKey: devnetAccount('sequencer').privateKey,
    batcherKey: devnetAccount('batcher').privateKey,
  })
  t.teardown(() => sequencer.stop())
  const id = sequencer.p2p.split('/p2p/')[1] as string
  const through = `/ip4/127.0.0.1/tcp/${outer}/p2p/${id}`
  const startFollower = async (name: string, config: Record<string, unknown>): Promise<Role> => {
    const role = await startRole('follower', join(dir, name), { ...common, p2pPort: 0, ...config })
    t.teardown(() => role.stop())
    return role
  }
  const followers = await Promise.all(
    ['one', 'two', 'three'].map((name) => startFollower(name, { peers: [through] })),
  )
  const inStep = async (): Promise<boolean> => {
    const goal = await head(sequencer)
    const heads = await Promise.all(followers.map(head))
    return heads.every((number) => number >= goal - 1)
  }
  const agreeUpTo = async (number: number, nodes: readonly Role[]): Promise<void> => {
    const ours = await blockAt(sequencer, number)
    for (const node of nodes) {
      const theirs = await blockAt(node, number)
      t.same([theirs?.hash, theirs?.stateRoot], [ours?.hash, ours?.stateRoot], `block ${number}`)
    }
  }

  await until('the followers to be in step', inStep)
  await until('the followers to know each other', async () =>
    (await Promise.all(followers.map(peersOf))).every((count) => count >= 2),
  )

  gate.shut()
  const cut = await head(sequencer)
  await until('the sequencer to be alone', async () => (await peersOf(sequencer)) === 0)
  // Cut off, they still learn what L1 says, so they stand still for a while and then go on.
  await until('blocks of the partition, from L1', async () => {
    const heads = await Promise.all(followers.map(head))
    return heads.every((number) => number >= cut + 3)
  })
  await agreeUpTo(cut + 3, followers)

  gate.open()
  await until('the followers to be in step again', inStep)
  t.ok((await peersOf(sequencer)) > 0, 'they came back by themselves')
  await agreeUpTo(await head(followers[0] as Role).then((number) => number - 2), followers)

  const goal = await head(sequencer)
  const [byPeers, byL1] = await Promise.all([
    startFollower('by-peers', { peers: [through] }),
    startFollower('by-l1', { peers: [], bootnodes: [] }),
  ])
  await until('both that started empty', async () =>
    (await Promise.all([byPeers, byL1].map(head))).every((number) => number >= goal),
  )
  t.equal(await peersOf(byL1), 0, 'the second had L1 alone')
  for (const number of [1, Math.floor(goal / 2), goal]) await agreeUpTo(number, [byPeers, byL1])
})
