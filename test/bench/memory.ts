/**
 * The most memory a follower has while it takes in a long chain of transfers: its own (RssAnon, looked at every second) is held
 * to the bar; mapped files of the database, which the system takes back when it needs room, are told beside it. Two real node processes in the
 * follower's role: one has the chain, made beforehand (`history.ts`) and signed; the other begins empty, learns the blocks
 * from the first by range sync, and runs, compares and stores each. Linux alone says what is asked here.
 *
 *   node test/bench/memory.ts [--transfers 1000000] [--each 1000] [--recipients 0]
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createRpc } from '../../scripts/devnet/economy.ts'
import { type Role, startRole } from '../../scripts/devnet/roles.ts'
import { startL1 } from '../../scripts/devnet/stack.ts'
import { conditions, load } from './conditions.ts'
import { datedConfig, makeHistory } from './history.ts'
import { cpuSeconds, sizeOf } from './systems.ts'

const HELP = `usage: node test/bench/memory.ts [options]

  --transfers N    altogether (1000000)
  --each N         in a block (1000)
  --recipients N   accounts they go to; 0: each to a new one (0)
  --dir PATH       where everything goes for the run (a temporary folder)
  --help
`
const BAR_MIB = 1_024
const LOOK_EVERY_MS = 1_000
/** Without a new block for so long, it is not going to come. */
const SILENT_MS_MAX = 300_000
const TOLD_EVERY = 100

const { values } = parseArgs({
  options: {
    transfers: { type: 'string', default: '1000000' },
    each: { type: 'string', default: '1000' },
    recipients: { type: 'string', default: '0' },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(HELP)
else await main(Number(values.transfers), Number(values.each), Number(values.recipients))

async function main(transfers: number, each: number, recipients: number): Promise<void> {
  const dir = mkdtempSync(join(values.dir, 'openledger-memory-'))
  const { l1, config } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
  const running: Role[] = []
  try {
    // Block 1 brings the money.
    const blocks = Math.ceil(transfers / each) + 1
    const whole = await datedConfig(dir, config, blocks)
    const homes = ['source', 'follower'].map((name) => join(dir, name)) as [string, string]
    for (const home of homes) mkdirSync(home)
    const options = { blocks, transfersPerBlock: each, recipients, unsafe: blocks, isSigned: true }
    await makeHistory(join(homes[0], 'follower/data/db'), whole, options, (number) => {
      if (number % TOLD_EVERY === 0) console.error(`${number} of ${blocks} blocks made`)
    })
    console.log(conditions({ transfers, 'in a block': each, recipients: recipients || 'new ones' }))

    const common = {
      rollup: join(dir, 'rollup.json'),
      l1Rpc: [l1.rpc],
      l1Beacon: [l1.beacon],
      l1StrictRoots: false,
      rpcPort: 0,
      p2pPort: 0,
      logLevel: 'warn',
    }
    const source = await startRole('follower', homes[0], common)
    running.push(source)
    const began = performance.now()
    const follower = await startRole('follower', homes[1], { ...common, peers: [source.p2p] })
    running.push(follower)
    const ownMib = await synced(follower, blocks)
    const seconds = (performance.now() - began) / 1000
    const { peakMib, nowMib } = memoryOf(follower.pid)
    const disk = sizeOf(join(homes[1], 'follower/data/db')) / 2 ** 20
    console.log(
      `synced in ${seconds.toFixed(0)} s (${(transfers / seconds).toFixed(0)} transfers/s), ${cpuSeconds(follower.pid).toFixed(0)} s of processor, ${disk.toFixed(0)} MiB on disk`,
    )
    const verdict = ownMib <= BAR_MIB ? 'met' : 'MISSED'
    console.log(
      `most memory of the follower: ${ownMib.toFixed(0)} MiB of its own (bar ${BAR_MIB} MiB: ${verdict}); with mapped files ${peakMib.toFixed(0)} MiB, at the end ${nowMib.toFixed(0)} MiB`,
    )
    const { peakMib: theirs } = memoryOf(source.pid)
    console.log(`most memory of the one that served it: ${theirs.toFixed(0)} MiB; load ${load()}`)
  } finally {
    for (const role of running.reverse()) await role.stop()
    await l1.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The most memory of its own that was seen on the way, MiB. */
async function synced({ url, pid }: Role, goal: number): Promise<number> {
  const rpc = createRpc(url)
  let [head, sinceMs, told, most] = [0, performance.now(), 0, 0]
  while (head < goal) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    const now = Number(await rpc<string>('eth_blockNumber'))
    most = Math.max(most, memoryOf(pid).ownMib)
    if (now > head) [head, sinceMs] = [now, performance.now()]
    if (performance.now() - sinceMs > SILENT_MS_MAX) {
      throw new Error(`at block ${head} of ${goal} for ${SILENT_MS_MAX / 1000} s`)
    }
    if (head < told + TOLD_EVERY) continue
    told = head
    console.error(`${head} of ${goal} blocks, ${memoryOf(pid).nowMib.toFixed(0)} MiB`)
  }
  return most
}

/** Of the process with its threads: its own, resident with mapped files, and the most that ever was. */
function memoryOf(pid: number): { ownMib: number; nowMib: number; peakMib: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const of = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { ownMib: of('RssAnon'), nowMib: of('VmRSS'), peakMib: of('VmHWM') }
}
