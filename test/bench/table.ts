/**
 * The engine's whole table of figures, one bench after the other, with the load of the machine before each:
 * serving with many adapters, single-stream decoding, matrix products, fine-tuning, index and sketches and what they
 * cost on top of it, scan and accuracy of influence, perplexity. What fails is named, and the next goes on.
 *
 *   npm run bench -- table [--parts NAME,…]
 *
 * Run it alone on a quiet machine: it takes about an hour and a half on two cores, peers' installation not counted.
 */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { load } from './conditions.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const node = (...args: string[]): readonly [string, ...string[]] => [
  process.execPath,
  '--no-warnings',
  ...args,
]
const bench = (name: string): readonly [string, ...string[]] =>
  node(join(import.meta.dirname, `${name}.ts`))
const cargo = ['run', '--release', '--quiet', '--manifest-path', join(ROOT, 'native/Cargo.toml')]
const openledger = join(ROOT, 'scripts/openledger.mjs')

const PARTS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  serving: bench('serving'),
  decode: bench('decode'),
  products: ['cargo', ...cargo, '-p', 'openledger-core', '--example', 'gemm_peer'],
  training: bench('training'),
  index: bench('engine'),
  indexing: bench('indexing'),
  scan: node(openledger, 'bench', 'engine', 'scan'),
  influence: node(openledger, 'bench', 'engine', 'influence'),
  perplexity: bench('perplexity'),
}

const { values: flags } = parseArgs({
  options: { parts: { type: 'string', default: Object.keys(PARTS).join(',') } },
})
for (const name of flags.parts.split(',')) {
  const line = PARTS[name]
  if (!line) throw new Error(`no part '${name}'; known: ${Object.keys(PARTS).join(', ')}`)
  console.log(`\n== ${name}; load ${load()}`)
  const [command, ...args] = line
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) {
    console.log(`== ${name} failed: ${error?.message ?? `status ${status}`}`)
    process.exitCode = 1
  }
}
