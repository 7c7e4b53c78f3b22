/**
 * Does work that users ask for delay blocks? The sequencer runs in a process of its own; new heads are
 * timed as they arrive over WebSocket, first with nothing else going on, then while heavy calls are kept in
 * flight all the time. The bar: the block interval moves by less than 10 %.
 *
 *   quiet window -> [ heavy window: N calls in flight, each burning its gas ] -> both as a table
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket } from 'ws'
import { startL1, startNodes } from '../../scripts/devnet/stack.ts'
import { conditions, load, median } from './conditions.ts'

const HELP = `usage: node test/bench/isolation.ts [options]

The block interval of a sequencer, quiet and under heavy calls.

  --blocks N    blocks timed in each window (30)
  --calls N     heavy calls in flight (200)
  --help
`
const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
/** JUMPDEST PUSH0 JUMP as initcode: burns all the gas of the call. */
const HEAVY = { data: '0x5b5f56', gas: '0x1c9c380' }

type Window = {
  readonly name: string
  readonly intervalsMs: number[]
  answers: number
  load: string
}

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '30' },
    calls: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
} else {
  await main(Number(values.blocks), Number(values.calls))
}

async function main(blocks: number, calls: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'openledger-isolation-'))
  const { l1 } = await startL1(dir, ANY_PORT)
  const nodes = await startNodes(dir, l1, ANY_PORT)
  try {
    await nodes.validator.stop()
    console.log(conditions({ blocks, calls, gasPerCall: Number(HEAVY.gas) }))
    const { url } = nodes.sequencer
    const quiet = await timeHeads('quiet', url, blocks)
    const burning = new AbortController()
    const work = burn(url, calls, burning.signal)
    const heavy = await timeHeads('heavy calls', url, blocks)
    burning.abort()
    heavy.answers = await work
    console.log('window        blocks  median ms  mean ms  p95 ms  max ms  answers  load')
    for (const window of [quiet, heavy]) console.log(rowOf(window))
    const ratio = mean(heavy.intervalsMs) / mean(quiet.intervalsMs)
    console.log(`mean interval, heavy / quiet: ${ratio.toFixed(3)} (bar 0.9 to 1.1)`)
  } finally {
    await nodes.sequencer.stop()
    await l1.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Arrival times of `count` intervals. */
function timeHeads(name: string, url: string, count: number): Promise<Window> {
  const socket = new WebSocket(url.replace('http', 'ws'))
  const intervalsMs: number[] = []
  let lastMs: number | undefined
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('open', () =>
      socket.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}'),
    )
    socket.on('message', (data) => {
      if (!String(data).includes('eth_subscription')) return
      const nowMs = performance.now()
      if (lastMs !== undefined) intervalsMs.push(nowMs - lastMs)
      lastMs = nowMs
      if (intervalsMs.length < count) return
      socket.close()
      resolve({ name, intervalsMs, answers: 0, load: load() })
    })
  })
}

/** Keeps `lanes` heavy calls in flight; says how many were answered. */
async function burn(url: string, lanes: number, signal: AbortSignal): Promise<number> {
  let answers = 0
  const lane = async (): Promise<void> => {
    while (!signal.aborted) {
      const body = { jsonrpc: '2.0', id: 1, method: 'eth_call', params: [HEAVY, 'latest'] }
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
          signal,
        })
        await response.text()
        answers++
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return answers
}

function rowOf({ name, intervalsMs, answers, load: loaded }: Window): string {
  const sorted = intervalsMs.toSorted((a, b) => a - b)
  const p95 = sorted[Math.floor(0.95 * (sorted.length - 1))] as number
  const cells = [median(sorted), mean(sorted), p95, sorted.at(-1) as number].map((ms) =>
    ms.toFixed(0).padStart(7),
  )
  return `${name.padEnd(12)}  ${String(sorted.length).padStart(6)}    ${cells.join('  ')}  ${String(answers).padStart(7)}  ${loaded}`
}

function mean(values_: readonly number[]): number {
  return values_.reduce((a, b) => a + b, 0) / values_.length
}
