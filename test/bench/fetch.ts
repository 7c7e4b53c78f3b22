/**
 * How long a node's event loop stands still while it fetches one large content from a peer: the peer is a process of its own,
 * so that what it does costs the fetching node nothing. Printed: the longest pause, the processor time, the time in all.
 *
 *   npm run bench -- fetch [--mib 64] [--times 3]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { keccakHex } from '../../node/base/bytes.ts'
import { contentOf, startNode } from '../node/p2p/support.ts'
import { conditions, median } from './conditions.ts'

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '64' },
    times: { type: 'string', default: '3' },
    serve: { type: 'boolean' },
  },
})
const bytes = new Uint8Array(Number(values.mib) * 2 ** 20)
for (let i = 0; i < bytes.length; i += 4_099) bytes[i] = i >>> 7
const hash = keccakHex(bytes)
const closing: (() => Promise<void>)[] = []
const life = { teardown: (fn: () => Promise<void>) => void closing.push(fn) }

async function serve(): Promise<void> {
  const node = await startNode(life, { content: contentOf(bytes) })
  process.send?.(node.multiaddrs()[0])
  await once(process, 'disconnect')
}

async function measure(peer: ChildProcess): Promise<void> {
  const [address] = (await once(peer, 'message')) as [string]
  console.log(conditions({ content: `${values.mib} MiB` }))
  const pauses: number[] = []
  for (let time = 0; time < Number(values.times); time++) {
    const node = await startNode(life)
    await node.connect(address)
    const watch = monitorEventLoopDelay({ resolution: 1 })
    const [before, start] = [process.cpuUsage(), performance.now()]
    watch.enable()
    await node.fetchContent(hash)
    watch.disable()
    const { user, system } = process.cpuUsage(before)
    const pause = watch.max / 1e6
    pauses.push(pause)
    const seconds = ((performance.now() - start) / 1_000).toFixed(1)
    console.log(
      `longest pause ${pause.toFixed(0)} ms, 99 % below ${(watch.percentile(99) / 1e6).toFixed(0)} ms, processor ${((user + system) / 1e6).toFixed(1)} s, ${seconds} s in all`,
    )
  }
  console.log(`longest pause, median of ${pauses.length}: ${median(pauses).toFixed(0)} ms`)
}

if (values.serve) await serve()
else {
  const args = ['--serve', '--mib', values.mib]
  const peer = fork(import.meta.filename, args, { execArgv: ['--no-warnings'] })
  try {
    await measure(peer)
  } finally {
    peer.disconnect()
  }
}
for (const close of closing) await close()
