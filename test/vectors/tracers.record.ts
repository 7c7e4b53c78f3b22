/**
 * Records what geth says of the traced chain (test/support/traced.ts), for `test/node/trace/tracers.test.ts`:
 *
 *   GETH=/path/to/geth node test/vectors/tracers.record.ts
 *
 * geth imports the chain, which also checks every block of it, and is asked for each block by each tracer.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { encodeBlock } from '../../node/chain/block.ts'
import { openTracedChain, TRACE_CONFIGS, TRACED_GENESIS } from '../support/traced.ts'

const geth = process.env.GETH
if (!geth) throw new Error('GETH names no geth: give the path of a binary')
const PORT = Number(process.env.PORT ?? 18_799)
const dir = mkdtempSync(join(tmpdir(), 'openledger-tracers-'))
const dataDir = ['--datadir', join(dir, 'geth'), '--state.scheme', 'hash']
const { chain, close } = await openTracedChain(join(dir, 'ours'))
writeFileSync(join(dir, 'genesis.json'), TRACED_GENESIS)
const blocks = [1n, 2n].map((n) => chain.blockByNumber(n)).filter((block) => block !== null)
writeFileSync(join(dir, 'chain.rlp'), Buffer.concat(blocks.map(encodeBlock)))
await close()
execFileSync(geth, [...dataDir, 'init', join(dir, 'genesis.json')], { stdio: 'ignore' })
const imported = spawn(geth, [...dataDir, '--gcmode', 'archive', 'import', join(dir, 'chain.rlp')], {
  stdio: ['ignore', 'ignore', 'inherit'],
})
await new Promise((resolve) => imported.once('exit', resolve))
const http = ['--http', '--http.port', String(PORT), '--http.api', 'eth,debug,web3', '--ipcdisable']
const quiet = ['--nodiscover', '--maxpeers', '0', '--port', '0', '--authrpc.port', '0']
const server = spawn(geth, [...dataDir, '--gcmode', 'archive', ...http, ...quiet], { stdio: 'ignore' })
try {
  const version = await waitFor(() => ask('web3_clientVersion', []))
  const answers: Record<string, unknown[]> = {}
  for (const [name, config] of Object.entries(TRACE_CONFIGS)) {
    answers[name] = []
    for (const { hash } of blocks) {
      const traces = (await ask('debug_traceBlockByHash', [hash, config])) as { result: unknown }[]
      answers[name].push(traces.map(({ result }) => result))
    }
  }
  const text = JSON.stringify({ recordedFrom: version, blocks: blocks.map(({ hash }) => hash), answers })
  writeFileSync(join(import.meta.dirname, 'tracers.json'), `${text}\n`)
  process.stdout.write(`${text.length} bytes recorded from ${version}\n`)
} finally {
  server.kill()
  rmSync(dir, { recursive: true, force: true })
}

async function ask(method: string, params: unknown[]): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${PORT}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  const { result, error } = (await response.json()) as { result: unknown; error?: { message: string } }
  if (error) throw new Error(`${method}: ${error.message}`)
  return result
}

async function waitFor<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries > 100) throw error
      await setTimeout(200)
    }
  }
}
