/**
 * Reads through JSON-RPC beside geth and anvil: `eth_getBalance`, `eth_call` (a token's balanceOf) and
 * `eth_getLogs` (the token's transfers of the last blocks), p50 and p99, one request at a time and then several
 * at once. The same token, transfers and client for all; rounds alternate.
 */
import { parseArgs } from 'node:util'
import type { Hex } from '../../node/base/bytes.ts'
import { conditions, load } from './conditions.ts'
import { benchAccount, runLanes, type Sender, settle, signLanes, type TxPlan } from './load.ts'
import { BenchClient, type Entry } from './rpc-client.ts'
import { available, SYSTEMS, type System, startSystem, versions } from './systems.ts'
import { balanceCall, deployToken, tokenTransfer } from './token.ts'

const HELP = `usage: node test/bench/reads.ts [options]

  --requests N      of each kind, in each round (1000)
  --connections N   when several are asked at once (8)
  --rounds N        (3)
  --only A,B        of ${SYSTEMS.join(', ')}
  --geth PATH       the geth to run (geth)
  --help
`

const SENDERS = 20
const TRANSFERS_EACH = 50
/** Blocks a log query looks back over. */
const LOG_BLOCKS = 10

type Entrant = {
  readonly system: System
  readonly client: BenchClient
  readonly kinds: Readonly<Record<string, (i: number) => Entry>>
  /** By kind and number of connections, milliseconds. */
  readonly times: Map<string, number[]>
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '1000' },
      connections: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', default: SYSTEMS.join(',') },
      geth: { type: 'string', default: 'geth' },
      help: { type: 'boolean', default: false },
    },
  })
  const { requests, connections, rounds } = values
  const [asked, wide, turns] = [Number(requests), Number(connections), Number(rounds)]
  if (values.help) return void process.stdout.write(HELP)
  if (!(asked && wide && turns)) throw new Error(HELP)
  const names = available(
    SYSTEMS.filter((name) => values.only.split(',').includes(name)),
    values.geth,
  )
  console.log(conditions(versions(values.geth)))
  const entrants: Entrant[] = []
  try {
    for (const name of names) {
      entrants.push(await enter(await startSystem(name, benchAccount(0), values.geth), wide))
    }
    for (let turn = 0; turn < turns; turn++) {
      for (const entrant of entrants) {
        for (const kind of Object.keys(entrant.kinds)) {
          await measure(entrant, kind, asked, 1)
          await measure(entrant, kind, asked, wide)
        }
      }
    }
    report(entrants, wide)
  } finally {
    for (const { client, system } of entrants) {
      client.close()
      await system.stop()
    }
  }
}

/** A token and a thousand transfers of it. */
async function enter(system: System, connections: number): Promise<Entrant> {
  const client = new BenchClient(system.url, connections)
  const chainId = Number(await client.call<Hex>('eth_chainId'))
  const senders = Array.from({ length: SENDERS }, (_, i): Sender => {
    return { account: benchAccount(i), nonce: 0n }
  })
  const [rich, ...others] = senders as [Sender, ...Sender[]]
  const share = (to: Hex): TxPlan => {
    return { to, value: 10n ** 20n, data: new Uint8Array(0), gas: 21_000n }
  }
  await settle(
    client,
    chainId,
    rich,
    others.map(({ account }) => share(account.address)),
  )
  const token = await deployToken(client, chainId, senders)
  const holders = senders.map(({ account }) => account.address)
  const plans = Array.from({ length: TRANSFERS_EACH }, (_, i) =>
    tokenTransfer(token, holders[i % SENDERS] as Hex, 1n),
  )
  await runLanes(
    client,
    signLanes(chainId, senders, connections, () => plans),
  )
  const head = Number(await client.call<Hex>('eth_blockNumber'))
  const fromBlock = `0x${Math.max(0, head - LOG_BLOCKS).toString(16)}`
  const toBlock = `0x${head.toString(16)}`
  const holder = (i: number): Hex => holders[i % SENDERS] as Hex
  return {
    system,
    client,
    times: new Map(),
    kinds: {
      eth_getBalance: (i) => ({ method: 'eth_getBalance', params: [holder(i), 'latest'] }),
      eth_call: (i) => ({
        method: 'eth_call',
        params: [{ to: token, data: balanceCall(holder(i)) }, 'latest'],
      }),
      eth_getLogs: (i) => ({
        method: 'eth_getLogs',
        params: [
          {
            address: token,
            fromBlock,
            toBlock,
            topics: [null, `0x${holder(i).slice(2).padStart(64, '0')}`],
          },
        ],
      }),
    },
  }
}

async function measure(
  { client, kinds, times }: Entrant,
  kind: string,
  requests: number,
  connections: number,
): Promise<void> {
  const key = `${kind} ${connections}`
  const taken = times.get(key) ?? []
  times.set(key, taken)
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < requests) {
      const entry = kinds[kind]?.(next++) as Entry
      const began = performance.now()
      await client.batch([entry])
      taken.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: connections }, lane))
}

function report(entrants: readonly Entrant[], wide: number): void {
  console.log(`milliseconds, one request at a time and ${wide} at once; load ${load()}`)
  console.log('| method | at once | system | p50 | p99 |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const key of entrants[0]?.times.keys() ?? []) {
    const [kind, connections] = key.split(' ')
    for (const { system, times } of entrants) {
      const sorted = (times.get(key) ?? []).toSorted((a, b) => a - b)
      const at = (part: number): string =>
        (sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toFixed(2)
      console.log(`| ${kind} | ${connections} | ${system.name} | ${at(0.5)} | ${at(0.99)} |`)
    }
  }
}

await main()
