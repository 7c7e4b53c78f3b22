/**
 * kill -9 of real sequencer processes at random moments, under load, on a real L1; then of a follower
 * that derives the same chain from L1 alone. KILLS and SEED choose how often and which; the seed of a run is
 * printed.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { decodePayload } from '../../node/derive/frame.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { bridge, createRpc, until } from '../../scripts/devnet/economy.ts'
import { freePort } from '../../scripts/devnet/roles.ts'
import { startL1 } from '../../scripts/devnet/stack.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { workDir } from '../support/dir.ts'
import { Victim } from './kill/victim.ts'
import { transact, Witness } from './kill/witness.ts'

const KILLS = Number(process.env.KILLS ?? 50)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
/** Some die while they start; the others at most so many milliseconds after they have shown a receipt. */
const EARLY_SHARE = 0.25
const STARTUP_MS = 1_000
const LIFE_MS_MAX = 800
const FOLLOWER_KILLS = Math.ceil(KILLS / 5)
const SENDERS = ['alice', 'bob', 'carol'] as const

t.test(`${KILLS} kills, seed ${SEED}`, { timeout: 900_000 }, async (t) => {
  const random = mulberry32(SEED)
  const dir = workDir(t)
  const { l1, config } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
  t.teardown(() => l1.stop())
  const common = {
    rollup: join(dir, 'rollup.json'),
    l1Rpc: [l1.rpc],
    l1StrictRoots: false,
    p2pPort: 0,
    logLevel: 'warn',
  }
  const env = { NODE_COMPILE_CACHE: join(dir, 'compiled') }
  const write = (name: string, own: object): string => {
    const file = join(dir, `${name}.json`)
    const places = { dataDir: join(dir, name), logFile: join(dir, `${name}.log`) }
    writeFileSync(file, JSON.stringify({ ...common, ...places, ...own }))
    return file
  }
  const port = await freePort(0)
  const sequencerFile = write('sequencer', {
    rpcPort: port,
    batchIntervalMs: 400,
    batchDa: 'calldata',
    sequencerKey: devnetAccount('sequencer').privateKey,
    batcherKey: devnetAccount('batcher').privateKey,
  })
  const url = `http://127.0.0.1:${port}`
  const rpc = createRpc(url)
  let victim = new Victim('sequencer', sequencerFile, env)
  t.teardown(() => victim.kill())
  await victim.ready()
  const accounts = SENDERS.map((name) => devnetAccount(name))
  const { reader } = createWallet(devnetAccount('alice'), { rpc: url, chainId: config.l2ChainId })
  await bridge(
    { l1Rpc: l1.rpc, config, holder: devnetAccount('deployer'), accounts, openEach: '1000' },
    reader,
    () => {},
  )

  const witness = new Witness(rpc)
  let isOver = false
  const done = (): boolean => isOver
  const step = (what: string): void => t.comment(`${what}, head ${witness.head}`)
  const watching = witness.watch(done)
  const load = { to: devnetAccount('builder').address, chainId: config.l2ChainId, ahead: 12, done }
  const sending = accounts.map(({ privateKey: key }) => transact(rpc, { ...load, key }))
  const faults: string[] = []
  const restarts: number[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    if (random() < EARLY_SHARE) {
      await wait(random() * STARTUP_MS)
    } else {
      const before = witness.receipts.size
      await victim.ready()
      await until('a receipt in this life', async () => witness.receipts.size > before)
      await wait(random() * LIFE_MS_MAX)
    }
    await victim.kill()
    step(`kill ${kill}`)
    const [shown, began] = [witness.head, performance.now()]
    victim = new Victim('sequencer', sequencerFile, env)
    if (kill % 5 === 4 || kill === KILLS - 1) {
      await victim.ready()
      const before = Number(await rpc<string>('eth_blockNumber'))
      await until(
        'the next block',
        async () => Number(await rpc<string>('eth_blockNumber')) > before,
      )
      restarts.push(performance.now() - began)
      faults.push(...(await witness.broken(Math.max(1, shown - 10))))
    }
  }
  step('killed')
  isOver = true
  const sent = (await Promise.all(sending)).reduce((a, b) => a + b, 0)
  await watching
  faults.push(...(await witness.broken(1)))
  t.same(faults, [], 'what was shown once is still so')
  const { blocks, receipts } = witness
  t.ok(
    receipts.size > KILLS / 2,
    `${receipts.size} receipts shown, ${blocks.size} blocks, ${sent} sent`,
  )
  t.comment(`restart to the next block: ${restarts.map((ms) => Math.round(ms)).join(', ')} ms`)

  const all = await everyTransaction(rpc, witness.head)
  t.equal(new Set(all).size, all.length, `${all.length} transactions, none twice`)

  const goal = witness.head
  await until('the safe head', async () => {
    const safe = await rpc<{ number: string } | null>('eth_getBlockByNumber', 'safe', false)
    return Number(safe?.number ?? 0) >= goal
  })
  const frames = await framesOnL1(createRpc(l1.rpc), config.batchInbox)
  t.equal(new Set(frames).size, frames.length, `${frames.length} frames on L1, none twice`)
  await victim.kill()

  const followerPort = await freePort(0)
  const followerFile = write('follower', {
    rpcPort: followerPort,
    validatorKey: devnetAccount('carol').privateKey,
  })
  const follower = createRpc(`http://127.0.0.1:${followerPort}`)
  let second = new Victim('validator', followerFile, env)
  t.teardown(() => second.kill())
  let reached = 0
  for (let kill = 0; kill < FOLLOWER_KILLS; kill++) {
    await second.ready()
    await wait(random() * LIFE_MS_MAX)
    const head = Number(await follower<string>('eth_blockNumber'))
    if (head < reached) faults.push(`the follower was at ${reached} and is at ${head}`)
    reached = head
    await second.kill()
    second = new Victim('validator', followerFile, env)
  }
  await second.ready()
  await until(
    'derivation from L1',
    async () => Number(await follower<string>('eth_blockNumber')) >= goal,
  )
  for (const [number, hash] of blocks) {
    const tag = `0x${number.toString(16)}`
    const block = await follower<{ hash: string } | null>('eth_getBlockByNumber', tag, false)
    if (block?.hash !== hash)
      faults.push(`L1 gives ${block?.hash} for block ${number}, not ${hash}`)
  }
  t.same(faults, [], `a follower killed ${FOLLOWER_KILLS} times derives the blocks that were shown`)
})

async function everyTransaction(
  rpc: ReturnType<typeof createRpc>,
  head: number,
): Promise<string[]> {
  const all: string[] = []
  for (let number = 1; number <= head; number++) {
    const tag = `0x${number.toString(16)}`
    const block = await rpc<{ transactions: string[] }>('eth_getBlockByNumber', tag, false)
    all.push(...block.transactions)
  }
  return all
}

/** `channel:number` of every frame in the inbox. */
async function framesOnL1(rpc: ReturnType<typeof createRpc>, inbox: Hex): Promise<string[]> {
  const head = Number(await rpc<string>('eth_blockNumber'))
  const found: string[] = []
  for (let number = 0; number <= head; number++) {
    const tag = `0x${number.toString(16)}`
    type Full = { transactions: { to: string | null; input: Hex }[] }
    const { transactions } = await rpc<Full>('eth_getBlockByNumber', tag, true)
    for (const { to, input } of transactions) {
      if (to?.toLowerCase() !== inbox) continue
      const payload = decodePayload(fromHex(input))
      if (!payload.ok) throw new Error(`a transaction of ours is malformed: ${payload.fault}`)
      found.push(...payload.frames.map((frame) => `${frame.channelId}:${frame.number}`))
    }
  }
  return found
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
