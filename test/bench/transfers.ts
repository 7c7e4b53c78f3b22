/**
 * Transfers a second through JSON-RPC, from the first one sent to the last one seen in a block: our sequencer, geth and
 * anvil in one run, by the same client with the same load (`load.ts`), in rounds that alternate. The yardsticks
 * have no second execution, no signature, no L1; anvil has no disk either.
 */
import { parseArgs } from 'node:util'
import { type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { conditions, load, median } from './conditions.ts'
import {
  BATCH,
  benchAccount,
  type Lane,
  type Round,
  runLanes,
  type Sender,
  settle,
  signLanes,
  type TxPlan,
} from './load.ts'
import { BenchClient } from './rpc-client.ts'
import {
  available,
  cpuSeconds,
  residentBytes,
  SYSTEMS,
  type System,
  type SystemName,
  startSystem,
  versions,
} from './systems.ts'
import { deployToken, tokenTransfer } from './token.ts'

const HELP = `usage: node test/bench/transfers.ts [options]

Transfers a second, from the first sent to the last included: sequencer, geth --dev, anvil, a block a second.
All run at once and take turns being loaded. Run it alone on a quiet machine.

  --erc20           transfers of a token (OpenZeppelin's ERC20) instead of the native one
  --count N         transfers in one round (40000)
  --senders N       accounts (100)
  --connections N   kept connections, each sending batches of ${BATCH} (8)
  --rounds N        timed rounds of each system (3), after one of a tenth that is not counted
  --only A,B        of ${SYSTEMS.join(', ')}
  --geth PATH       the geth to run (geth)
  --help
`

const GAS = 21_000n
const NO_DATA = new Uint8Array(0)
/** For the gas of every round. */
const SHARE_WEI = 10n ** 21n

type Entrant = {
  readonly system: System
  readonly client: BenchClient
  readonly chainId: number
  readonly senders: readonly Sender[]
  readonly token: Hex | null
  readonly rates: number[]
  transfers: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      erc20: { type: 'boolean', default: false },
      count: { type: 'string', default: '40000' },
      senders: { type: 'string', default: '100' },
      connections: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', default: SYSTEMS.join(',') },
      geth: { type: 'string', default: 'geth' },
      help: { type: 'boolean', default: false },
    },
  })
  const [count = 0, senders = 0, connections = 0, rounds = 0] = [
    values.count,
    values.senders,
    values.connections,
    values.rounds,
  ].map(Number)
  const wanted = SYSTEMS.filter((name) => values.only.split(',').includes(name))
  if (values.help) return void process.stdout.write(HELP)
  if (!(count && senders && connections && rounds && wanted.length)) throw new Error(HELP)
  const names = available(wanted, values.geth)
  const what = values.erc20 ? 'ERC-20 transfers' : 'transfers'
  console.log(conditions(versions(values.geth)))
  console.log(
    `${count} ${what} from ${senders} accounts, each to a new account, batches of ${BATCH} over ${connections} connections; ${rounds} rounds`,
  )
  const entrants: Entrant[] = []
  try {
    for (const name of names) {
      entrants.push(
        await enter(name, { senders, connections, erc20: values.erc20, geth: values.geth }),
      )
    }
    for (const entrant of entrants) await play(entrant, Math.ceil(count / 10), connections, false)
    for (let round = 0; round < rounds; round++) {
      for (const entrant of entrants) await play(entrant, count, connections, true)
    }
    report(entrants)
  } finally {
    for (const { client, system } of entrants) {
      client.close()
      await system.stop()
    }
  }
}

/** Started, with money (and tokens) on every sender. */
async function enter(
  name: SystemName,
  options: { senders: number; connections: number; erc20: boolean; geth: string },
): Promise<Entrant> {
  const senders = Array.from({ length: options.senders }, (_, i) => ({
    account: benchAccount(i),
    nonce: 0n,
  }))
  const [rich, ...others] = senders as [Sender, ...Sender[]]
  const system = await startSystem(name, rich.account, options.geth)
  const client = new BenchClient(system.url, options.connections)
  const chainId = Number(await client.call<Hex>('eth_chainId'))
  const shares = others.map(({ account }) => ({
    to: account.address,
    value: SHARE_WEI,
    data: NO_DATA,
    gas: GAS,
  }))
  await settle(client, chainId, rich, shares)
  const token = options.erc20 ? await deployToken(client, chainId, senders) : null
  return { system, client, chainId, senders, token, rates: [], transfers: 0 }
}

async function play(
  entrant: Entrant,
  count: number,
  connections: number,
  isCounted: boolean,
): Promise<void> {
  const { client, system } = entrant
  const lanes = lanesOf(entrant, Math.ceil(count / entrant.senders.length), connections)
  const total = lanes.reduce((sum, { hashes }) => sum + hashes.length, 0)
  const before = { disk: system.diskBytes(), cpu: cpuSeconds(system.pid) }
  const round = await runLanes(client, lanes)
  entrant.transfers += total
  if (!isCounted) return
  entrant.rates.push(total / round.includedSeconds)
  console.log(line(entrant, total, round, before))
}

function lanesOf(entrant: Entrant, each: number, connections: number): Lane[] {
  const { chainId, senders, token } = entrant
  return signLanes(chainId, senders, connections, ({ account, nonce }) =>
    Array.from({ length: each }, (_, i): TxPlan => {
      const to = toHex(keccak(utf8(`${account.name} ${nonce + BigInt(i)}`)).subarray(12))
      if (token) return tokenTransfer(token, to, 1n)
      return { to, value: 1n, data: NO_DATA, gas: GAS }
    }),
  )
}

type Before = { readonly disk: number | null; readonly cpu: number }

function line({ system }: Entrant, total: number, round: Round, before: Before): string {
  const after = system.diskBytes()
  const disk =
    before.disk === null || after === null
      ? 'no disk'
      : `${Math.round((after - before.disk) / total)} bytes of disk`
  const rate = (total / round.includedSeconds).toFixed(0)
  const [sent, included] = [round.sentSeconds, round.includedSeconds].map(
    (s) => `${s.toFixed(2)} s`,
  )
  const cpu = `${(((cpuSeconds(system.pid) - before.cpu) / total) * 1e6).toFixed(0)} us of processor`
  const memory = `${Math.round(residentBytes(system.pid) / 2 ** 20)} MiB resident`
  return `${system.name}: ${rate} tx/s; sent after ${sent}, all in ${round.blocks} blocks after ${included}; each ${cpu}, ${disk}; ${memory}; load ${load()}`
}

function report(entrants: readonly Entrant[]): void {
  console.log('median tx/s:')
  for (const { system, rates } of entrants) {
    console.log(`  ${system.name}: ${median(rates).toFixed(0)}`)
  }
  const ours = entrants.find(({ system }) => system.name === 'sequencer')
  if (!ours) return
  for (const other of entrants.filter((entrant) => entrant !== ours)) {
    const ratios = ours.rates.map((rate, i) => rate / (other.rates[i] ?? Number.NaN))
    console.log(
      `sequencer / ${other.system.name}: ${(median(ours.rates) / median(other.rates)).toFixed(2)} (rounds ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`,
    )
  }
}

await main()
