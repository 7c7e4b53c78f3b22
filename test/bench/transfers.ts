/**
 * Plain transfers a second through JSON-RPC, from the first one sent to the last receipt seen: our
 * sequencer and anvil in one run, by the same client with the same number of transactions. anvil keeps
 * everything in memory, has no second execution, no signature and no L1: it is a yardstick, not a rival.
 *
 *   sign all -> [ send, one request each, every sender on its own connection
 *                 -> poll the sender's last receipt -> fetch the others, a hundred a request ]
 *
 * What stands in brackets is timed. Every receipt must say success.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseGwei } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { type Account, devnetAccount } from '../../scripts/devnet/accounts.ts'
import { startAnvil } from '../../scripts/devnet/anvil.ts'
import { bridge } from '../../scripts/devnet/economy.ts'
import { startL1, startNodes } from '../../scripts/devnet/stack.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { conditions, load } from './conditions.ts'
import { BenchClient } from './rpc-client.ts'

const HELP = `usage: node test/bench/transfers.ts [options]

Transfers a second through JSON-RPC: the sequencer, anvil mining each transaction at once, anvil with a
block a second. Run it alone on a quiet machine.

  --count N       transfers in one round (1500), a multiple of the senders
  --senders N     accounts, each on a connection of its own (10)
  --rounds N      timed rounds of each system, after one that is not counted (3)
  --only NAME     sequencer, automine or interval
  --validator     keep the validator running beside the sequencer
  --help
`

const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
const GAS = 21_000n
/** So that anvil's block, as ours, has room for 2,857 transfers. */
const BLOCK_GAS = 60_000_000
const POLL_MS = 20
const ROUND_MS_MAX = 180_000
const RECEIPTS_PER_REQUEST = 100

type Options = { readonly count: number; readonly rounds: number; readonly validator: boolean }
type Lane = { readonly account: Account; nonce: number }
type Round = { readonly seconds: number; readonly sendSeconds: number; readonly blocks: number }
type System = {
  readonly name: string
  readonly url: string
  /** One sender after the other: anvil's automine (1.7.1) forgets transactions that arrive together. */
  readonly inTurn?: boolean
  stop(): Promise<void>
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '1500' },
      senders: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      validator: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(HELP)
  const [count, senders, rounds] = [values.count, values.senders, values.rounds].map(Number)
  if (!(count && senders && rounds) || count % senders) throw new Error(HELP)
  const accounts = Array.from({ length: senders }, (_, i) => benchAccount(i))
  const options = { count, rounds, validator: values.validator }
  const starters = {
    sequencer: () => startOurs(accounts, options),
    automine: () => startTheirs('anvil, automine, one sender at a time', accounts, null),
    interval: () => startTheirs('anvil, block time 1 s', accounts, 1),
  }
  const names = Object.keys(starters) as (keyof typeof starters)[]
  const chosen = names.filter((name) => !values.only || name === values.only)
  if (chosen.length === 0) throw new Error(HELP)

  console.log(conditions({ anvil: anvilVersion() }))
  console.log(
    `${count} transfers from ${senders} accounts, each to a new account; median of ${rounds} rounds`,
  )
  const rates = new Map<string, number>()
  for (const name of chosen)
    rates.set(name, await measure(await starters[name](), accounts, options))
  const ours = rates.get('sequencer')
  for (const name of ['automine', 'interval'] as const) {
    const theirs = rates.get(name)
    if (ours && theirs) console.log(`sequencer / anvil ${name}: ${(ours / theirs).toFixed(2)}`)
  }
}

/** The median rate, after the system was stopped. */
async function measure(
  system: System,
  accounts: readonly Account[],
  { count, rounds }: Options,
): Promise<number> {
  const client = new BenchClient(system.url, accounts.length)
  try {
    const chainId = Number(await client.call<Hex>('eth_chainId'))
    const lanes = accounts.map((account) => ({ account, nonce: 0 }))
    const done: Round[] = []
    await run(client, await sign(lanes, chainId, count), system.inTurn)
    for (let i = 0; i < rounds; i++)
      done.push(await run(client, await sign(lanes, chainId, count), system.inTurn))
    const { seconds, sendSeconds, blocks } = done.toSorted((a, b) => a.seconds - b.seconds)[
      (rounds - 1) >> 1
    ] as Round
    const rate = count / seconds
    const all = done.map((round) => (count / round.seconds).toFixed(0)).join(', ')
    console.log(
      `${system.name}: ${rate.toFixed(0)} tx/s (rounds ${all}); ${seconds.toFixed(2)} s to the last receipt, sent in ${sendSeconds.toFixed(2)} s, ${blocks} blocks; load ${load()}`,
    )
    return rate
  } finally {
    client.close()
    await system.stop()
  }
}

type Signed = { readonly raws: readonly Hex[]; readonly hashes: readonly Hex[] }

/** The next transfers of every account. */
async function sign(lanes: readonly Lane[], chainId: number, count: number): Promise<Signed[]> {
  const signed: Signed[] = []
  for (const lane of lanes) {
    const signer = privateKeyToAccount(lane.account.privateKey)
    const raws: Hex[] = []
    for (let i = 0; i < count / lanes.length; i++) {
      const to = toHex(keccak(utf8(`${lane.account.name} ${lane.nonce}`)).subarray(12))
      raws.push(
        await signer.signTransaction({
          chainId,
          nonce: lane.nonce++,
          to,
          value: 1n,
          gas: GAS,
          maxFeePerGas: parseGwei('20'),
          maxPriorityFeePerGas: parseGwei('1'),
        }),
      )
    }
    signed.push({
      raws,
      hashes: raws.map((raw) => toHex(keccak(Buffer.from(raw.slice(2), 'hex')))),
    })
  }
  return signed
}

async function run(client: BenchClient, signed: readonly Signed[], inTurn = false): Promise<Round> {
  const blocks = new Set<string>()
  const began = performance.now()
  let sent = began
  const lane = async ({ raws, hashes }: Signed): Promise<void> => {
    for (const raw of raws) await client.call('eth_sendRawTransaction', raw)
    sent = performance.now()
    const last = hashes.at(-1) as Hex
    while (!(await client.call<Receipt | null>('eth_getTransactionReceipt', last))) {
      if (performance.now() - began > ROUND_MS_MAX) throw new Error(`no receipt of ${last}`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    for (let at = 0; at < hashes.length; at += RECEIPTS_PER_REQUEST) {
      const wanted = hashes.slice(at, at + RECEIPTS_PER_REQUEST)
      const receipts = await client.batch<Receipt | null>(
        wanted.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] })),
      )
      for (const [i, receipt] of receipts.entries()) {
        if (receipt?.status !== '0x1') throw new Error(`${wanted[i]} did not succeed`)
        blocks.add(receipt.blockHash)
      }
    }
  }
  if (inTurn) for (const one of signed) await lane(one)
  else await Promise.all(signed.map(lane))
  const seconds = (performance.now() - began) / 1000
  return { seconds, sendSeconds: (sent - began) / 1000, blocks: blocks.size }
}

type Receipt = { readonly status: string; readonly blockHash: string }

async function startOurs(accounts: readonly Account[], { validator }: Options): Promise<System> {
  const dir = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
  const { l1, config } = await startL1(dir, ANY_PORT)
  const nodes = await startNodes(dir, l1, ANY_PORT)
  if (!validator) await nodes.validator.stop()
  const { url } = nodes.sequencer
  const { reader } = createWallet(devnetAccount('alice'), { rpc: url, chainId: config.l2ChainId })
  const holder = devnetAccount('deployer')
  await bridge({ l1Rpc: l1.rpc, config, holder, accounts, openEach: '1000' }, reader, () => {})
  const beside = validator ? 'L1 and validator' : 'L1'
  return {
    name: `sequencer, block time ${config.blockTime} s (${beside} beside it)`,
    url,
    stop: async () => {
      if (validator) await nodes.validator.stop()
      await nodes.sequencer.stop()
      await l1.stop()
      rmSync(dir, { recursive: true })
    },
  }
}

/** `blockTime` in seconds; null: a block for every transaction, at once. */
async function startTheirs(
  name: string,
  accounts: readonly Account[],
  blockTime: number | null,
): Promise<System> {
  const anvil = await startAnvil({ port: 0, blockTime })
  const client = new BenchClient(anvil.rpc, 1)
  await client.call('evm_setBlockGasLimit', BLOCK_GAS)
  for (const { address } of accounts) {
    await client.call('anvil_setBalance', address, `0x${(10n ** 21n).toString(16)}`)
  }
  client.close()
  const system = { name, url: anvil.rpc, stop: anvil.stop }
  return { ...system, inTurn: blockTime === null }
}

function benchAccount(i: number): Account {
  const name = `bench ${i}`
  const privateKey = toHex(keccak(utf8(`openledger benchmark account: ${i}`)))
  const { address } = privateKeyToAccount(privateKey)
  return { name, address: address.toLowerCase() as Hex, privateKey }
}

function anvilVersion(): string {
  const require = createRequire(import.meta.url)
  return require('@foundry-rs/anvil/package.json').version
}

await main()
