/** The READMEs' snippets that need a chain, run on a live stack: file by file, each in a folder of its own. */
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../scripts/devnet/roles.ts'
import { writeEndpoints, writeNetwork } from '../../scripts/devnet/stack.ts'
import { workDir } from '../support/dir.ts'
import { makeCheckout, readSnippets, runSnippet } from '../support/snippets.ts'
import { startLive } from './stack.ts'

t.test('what the READMEs say to type works', { timeout: 540_000 }, async (t) => {
  const live = await startLive(workDir(t))
  t.teardown(() => live.stop())
  const { l1, config, nodes, dir } = live
  writeEndpoints(dir, { l1, config, ...nodes })
  writeNetwork(dir, l1, nodes)
  const ports = {
    'http://127.0.0.1:9545': nodes.sequencer.url,
    'http://127.0.0.1:8545': l1.rpc,
    'http://127.0.0.1:9546': nodes.validator.url,
    '9547': String(await freePort(0)),
  }
  const env = { OPENLEDGER_URL: nodes.sequencer.url }
  const byFile = Map.groupBy(
    readSnippets().filter(({ info }) => info === 'live'),
    ({ file }) => file,
  )
  let folder = 0
  for (const [file, snippets] of byFile) {
    const checkout = makeCheckout(join(dir, `checkout-${folder++}`), dir)
    for (const snippet of snippets) {
      await runSnippet(snippet, { dir: checkout, ports, env })
      t.pass(`${file}:${snippet.line}`)
    }
  }
})
