/**
 * How long a node with a long past takes to be ready: from the start of the process to the first `/readyz` that
 * says so, after a stop in good order and after kill -9. A real node process in a real role on a real database,
 * beside a real L1; the chain was made beforehand (`history.ts`).
 *
 *   node test/bench/restart.ts [--blocks 100000] [--role follower] [--restarts 5]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Role as RoleName } from '../../node/options.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { freePort, type Role, restartRole, startRole } from '../../scripts/devnet/roles.ts'
import { startL1 } from '../../scripts/devnet/stack.ts'
import { conditions, load, median } from './conditions.ts'
import { datedConfig, makeHistory } from './history.ts'
import { cpuSeconds, sizeOf } from './systems.ts'

const HELP = `usage: node test/bench/restart.ts [options]

  --blocks N      blocks in the chain (100000)
  --transfers N   in each block (1)
  --role R        follower or sequencer (follower)
  --restarts N    of each kind (5)
  --dir PATH      where everything goes for the run (a temporary folder)
  --help
`
const BAR_MS = 5_000
const READY_MS_MAX = 120_000
/** Not derived from L1 yet: what a batcher has not posted. */
const UNSAFE = 100

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '100000' },
    transfers: { type: 'string', default: '1' },
    role: { type: 'string', default: 'follower' },
    restarts: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
} else {
  await main(values.role as RoleName, Number(values.blocks), Number(values.restarts))
}

async function main(role: RoleName, blocks: number, restarts: number): Promise<void> {
  const dir = mkdtempSync(join(values.dir, 'openledger-restart-'))
  const { l1, config } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
  let node: Role | null = null
  try {
    const database = join(dir, role, 'data', 'db')
    const options = { blocks, unsafe: UNSAFE, recipients: 1_000, isSigned: false }
    const began = performance.now()
    await makeHistory(
      database,
      await datedConfig(dir, config, blocks),
      { ...options, transfersPerBlock: Number(values.transfers) },
      (number) => number % 10_000 === 0 && console.error(`${number} blocks`),
    )
    console.log(conditions({ role, blocks, 'transfers a block': values.transfers }))
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`made in ${seconds} s, ${Math.round(sizeOf(database) / 2 ** 20)} MiB on disk`)

    const port = await freePort(0)
    const starting = await timed(port, () =>
      startRole(role, dir, {
        rollup: join(dir, 'rollup.json'),
        l1Rpc: [l1.rpc],
        l1Beacon: [l1.beacon],
        l1StrictRoots: false,
        rpcPort: port,
        p2pPort: 0,
        logLevel: 'warn',
        ...(role === 'sequencer' && {
          sequencerKey: devnetAccount('sequencer').privateKey,
          batcherKey: devnetAccount('batcher').privateKey,
        }),
      }),
    )
    node = starting.node
    console.log(`first start: ${starting.readyMs.toFixed(0)} ms, ${starting.cpuS} s of processor`)
    const rows: [string, number[], number[]][] = [
      ['after SIGTERM', [], []],
      ['after kill -9', [], []],
    ]
    for (let i = 0; i < restarts; i++) {
      for (const [name, times, work] of rows) {
        await (name === 'after kill -9' ? node.kill() : node.stop())
        const again = await timed(port, () => restartRole(role, dir))
        node = again.node
        times.push(again.readyMs)
        work.push(again.cpuS)
      }
    }
    for (const [name, times, work] of rows) {
      const list = times.map((ms) => ms.toFixed(0)).join(', ')
      const worst = Math.max(...times)
      console.log(
        `${name}: median ${median(times).toFixed(0)} ms, worst ${worst.toFixed(0)} ms (${list}), ${median(work).toFixed(1)} s of processor; bar ${BAR_MS} ms: ${worst <= BAR_MS ? 'met' : 'MISSED'}`,
      )
    }
    console.log(`load ${load()}`)
  } finally {
    await node?.stop()
    await l1.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Milliseconds from here to the first `/readyz` that answers 200. */
async function timed(
  port: number,
  start: () => Promise<Role>,
): Promise<{ node: Role; readyMs: number; cpuS: number }> {
  const began = performance.now()
  const starting = start()
  const failed = starting.then(
    () => null,
    (error: unknown) => error,
  )
  let last = ''
  while (performance.now() - began < READY_MS_MAX) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    if (answer?.ok) {
      const readyMs = performance.now() - began
      const node = await starting
      return { readyMs, node, cpuS: cpuSeconds(node.pid) }
    }
    last = (await answer?.text()) ?? 'nobody listens'
    const fault = await Promise.race([failed, pause(20)])
    if (fault) throw fault
  }
  throw new Error(`not ready within ${READY_MS_MAX / 1000} s: ${last}`)
}

function pause(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms))
}
