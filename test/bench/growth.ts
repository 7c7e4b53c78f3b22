/**
 * How cost grows: time to import a block, time to open the database, disk and memory, against the length of
 * the chain (a transfer a block) and the size of the state (every transfer makes an account). Near flat is what we
 * want: a trie one level deeper for sixteen times the accounts, and nothing that looks at the whole chain.
 *
 * Import is what a follower does with a block: run it, compare it, one synced write.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ReceiptLedger } from '../../node/attribution/ledger.ts'
import { fromHex, type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import {
  attributesAfter,
  CHAIN_ID,
  ETHER,
  openTestChain,
  type TestChain,
} from '../support/chain.ts'
import { started } from '../support/started.ts'
import { conditions, median } from './conditions.ts'
import { benchAccount, type Sender, signAll } from './load.ts'
import { type Panel, writePlot } from './plot.ts'

const HELP = `usage: node test/bench/growth.ts [options]

  --blocks N      longest chain, a power of ten (10000)
  --accounts N    largest state, a power of ten (100000)
  --svg FILE      plot it too
  --dir PATH      where the databases go for the run (a temporary folder)
  --help
`

/** What is looked at before it begins to count; the smallest size measured. */
const SMALLEST = 1_000
const PER_BLOCK = 5_000
const PROBE_TRANSFERS = 200
const PROBES = 5
const BAR = 40
const GAS_LIMIT = 2_000_000_000n

setFlagsFromString('--expose-gc')
/** A database that was closed lives on, caches and all, until this. */
const collectGarbage = runInNewContext('gc') as () => void

type Row = {
  readonly size: number
  readonly importMs: number
  readonly openMs: number
  readonly diskBytes: number
  readonly memoryBytes: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      blocks: { type: 'string', default: '10000' },
      accounts: { type: 'string', default: '100000' },
      svg: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  const [blocks, accounts] = [Number(values.blocks), Number(values.accounts)]
  if (values.help || !(blocks >= SMALLEST && accounts >= SMALLEST)) {
    return void process.stdout.write(HELP)
  }
  const measuredOn = conditions()
  console.log(measuredOn)
  const length = await series(values.dir, blocks, 1)
  show('blocks in the chain, a transfer each', length)
  const size = await series(values.dir, accounts, PER_BLOCK)
  show(`accounts in the state, made by transfers, ${PER_BLOCK} a block`, size)
  if (values.svg) writePlot(values.svg, measuredOn, panelsOf(length, size))
}

function panelsOf(length: readonly Row[], size: readonly Row[]): Panel[] {
  const panel = (title: string, of: (row: Row) => number): Panel => ({
    title,
    series: [
      { name: 'blocks in the chain', points: pointsOf(length, of) },
      { name: 'accounts in the state', points: pointsOf(size, of) },
    ],
  })
  return [
    panel(`import of ${PROBE_TRANSFERS} transfers, ms`, ({ importMs }) => importMs),
    panel('opening, ms', ({ openMs }) => openMs),
    panel('disk, bytes for each', ({ diskBytes, size }) => diskBytes / size),
    panel('memory, MiB', ({ memoryBytes }) => memoryBytes / 2 ** 20),
  ]
}

function pointsOf(rows: readonly Row[], of: (row: Row) => number): Panel['series'][0]['points'] {
  return rows.map((row) => ({ size: row.size, value: of(row) }))
}

/** Grows a chain by transfers, `perBlock` in each, and measures at every power of ten. */
async function series(parent: string, max: number, perBlock: number): Promise<Row[]> {
  const dir = mkdtempSync(join(parent, 'openledger-growth-'))
  const sender: Sender = { account: benchAccount(0), nonce: 0n }
  const alloc = { [sender.account.address]: { balance: 1_000_000n * ETHER } }
  let node = await openTestChain(dir, alloc)
  let ledger = await started(node.chain, new ReceiptLedger(node.chain, node.store, silentLog))
  const rows: Row[] = []
  let made = 0
  const grow = async (count: number): Promise<number> => {
    const from = made
    made += count
    const recipients = Array.from({ length: count }, (_, i) => recipient(from + i))
    return importOne(node, sender, recipients)
  }
  try {
    for (let size = SMALLEST; size <= max; size *= 10) {
      while (made < size) await grow(Math.min(perBlock, size - made))
      const probes: number[] = []
      for (let i = 0; i < PROBES; i++) {
        const old = Array.from({ length: PROBE_TRANSFERS }, (_, k) =>
          recipient((k * 7919 + i) % made),
        )
        probes.push(await importOne(node, sender, old))
      }
      await ledger.settled()
      const memoryBytes = privateMemory()
      await node.close()
      const began = performance.now()
      node = await openTestChain(dir, alloc)
      ledger = await started(node.chain, new ReceiptLedger(node.chain, node.store, silentLog))
      const openMs = performance.now() - began
      rows.push({ size, importMs: median(probes), openMs, diskBytes: sizeOf(dir), memoryBytes })
    }
  } finally {
    await ledger.settled()
    await node.close()
    rmSync(dir, { recursive: true, force: true })
  }
  return rows
}

function recipient(i: number): Hex {
  return toHex(keccak(utf8(`growth ${i}`)).subarray(12))
}

/** Builds a block of transfers, then does what a follower does with it; milliseconds of the latter. */
async function importOne(
  { chain }: TestChain,
  sender: Sender,
  recipients: readonly Hex[],
): Promise<number> {
  const signed = signAll(
    CHAIN_ID,
    recipients.map((to) => ({
      sender,
      plan: { to, value: 1n, data: new Uint8Array(0), gas: 21_000n },
    })),
  )
  const raws = signed.map(({ raw }) => fromHex(raw))
  const attributes = attributesAfter(chain.head('unsafe'), [], { gasLimit: GAS_LIMIT })
  const built = await chain.build(attributes, raws)
  if (built.kind === 'invalid') throw new Error(built.reason)
  if (built.receipts.length !== recipients.length + 1) throw new Error('transfers were left out')
  const began = performance.now()
  const result = await chain.importBlock(built.block)
  if (result.kind !== 'imported') throw new Error(result.kind)
  return performance.now() - began
}

/** Bytes of this process alone, after collecting garbage: files of the database that are mapped do not count. */
function privateMemory(): number {
  collectGarbage()
  const kib = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return kib ? Number(kib) * 1024 : process.memoryUsage.rss()
}

function sizeOf(dir: string): number {
  return Number(execFileSync('du', ['-sb', dir], { encoding: 'utf8' }).split('\t')[0])
}

function show(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}; import of a block of ${PROBE_TRANSFERS} transfers to known accounts`)
  console.log('| size | import | open | disk | disk each | memory |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const { size, importMs, openMs, diskBytes, memoryBytes } of rows) {
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
    const each = `${Math.round(diskBytes / size)} bytes`
    console.log(
      `| ${size} | ${importMs.toFixed(1)} ms | ${openMs.toFixed(0)} ms | ${mib(diskBytes)} | ${each} | ${mib(memoryBytes)} |`,
    )
  }
  plot('import', rows, ({ importMs }) => importMs)
  plot('open', rows, ({ openMs }) => openMs)
  plot('memory', rows, ({ memoryBytes }) => memoryBytes)
}

function plot(name: string, rows: readonly Row[], of: (row: Row) => number): void {
  const max = Math.max(...rows.map(of))
  for (const row of rows) {
    const bar = '#'.repeat(Math.max(1, Math.round((of(row) / max) * BAR)))
    console.log(`${name.padEnd(7)} ${String(row.size).padStart(8)} ${bar}`)
  }
}

await main()
