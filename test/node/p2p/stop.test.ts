import { spawnSync } from 'node:child_process'
import t from 'tap'

/** A process of its own that starts two nodes, lets them work, stops them and must then end by
 * itself: any handle left open would keep it alive. */
const SCRIPT = `
import { addressesOf, contentOf, makeBlock, MemoryChain, sign, startNode, until } from '${import.meta.dirname}/support.ts'
import { keccakHex } from '${import.meta.dirname}/../../../node/base/bytes.ts'
const stops = []
const t = { teardown: (fn) => stops.push(fn) }
const bytes = new Uint8Array(600_000)
const sequencer = await startNode(t, { content: contentOf(bytes) })
const chain = new MemoryChain()
const follower = await startNode(t, { sync: chain }, { staticPeers: addressesOf(sequencer) })
await until('subscription', () => sequencer.subscribers('blocks').length === 1)
const block = makeBlock(1n)
await sequencer.publishBlock(block, sign(block).signature)
await until('block', () => chain.head() === 1n)
await follower.fetchContent(keccakHex(bytes))
const pending = follower.fetchContent('0x' + '11'.repeat(32)).catch(() => {})
for (const stop of stops) await stop()
await pending
process.on('exit', () => console.log('ended by itself'))
`

t.test('after stop nothing keeps the process alive', async (t) => {
  const child = spawnSync(
    process.execPath,
    ['--no-warnings', '--input-type=module-typescript', '-e', SCRIPT],
    { encoding: 'utf8', timeout: 20_000 },
  )
  t.equal(child.stdout.trim(), 'ended by itself', child.stderr)
  t.equal(child.status, 0)
})
