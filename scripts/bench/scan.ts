/**
 * One query over a million int8 sketches of 1,024 numbers, beside NumPy's f32 product on the same data; and the
 * contributor table of the precompile. Medians of rounds, ours first, then the peer's.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scanSketches, score } from '../../native/index.ts'
import { runPython, type Venv } from './python.ts'

const NUMPY: Venv = { name: 'numpy', requirements: ['numpy'] }
const K = 1024
const TOP = 100
const ROUNDS = 9

export async function benchScan(options: {
  cache: string
  rows: number
  told: (text: string) => void
}): Promise<string> {
  const { cache, rows, told } = options
  told('making sketches')
  const sketches = new Int8Array(rows * K)
  let state = 1
  for (let i = 0; i < sketches.length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    sketches[i] = state >> 24
    sketches[i + 1] = state >> 17
    sketches[i + 2] = state >> 11
    sketches[i + 3] = state >> 7
  }
  const query = sketches.slice(5 * K, 6 * K)
  const ours = await median(ROUNDS, () => scanSketches(sketches, query, TOP))
  const { rows: best } = await scanSketches(sketches, query, TOP)
  mkdirSync(cache, { recursive: true })
  const [data, out] = [join(cache, 'sketches.i8'), join(cache, 'numpy-scan.json')]
  let peer = 'NumPy is missing'
  try {
    writeFileSync(data, sketches)
    told('NumPy f32 on the same data')
    const script = join(import.meta.dirname, 'scan.py')
    const failure = await runPython(NUMPY, cache, [script, data, String(K), String(TOP), out])
    if (failure !== undefined) peer = `NumPy is missing: ${failure}`
    else if (existsSync(out)) {
      const theirs = JSON.parse(readFileSync(out, 'utf8')) as { ms: number; best: number[] }
      const same = theirs.best.filter((row) => best.includes(row)).length
      peer = `NumPy f32 ${theirs.ms.toFixed(1)} ms; ratio ${(theirs.ms / ours).toFixed(2)} (floor 3, aim 3.8); ${same} of ${TOP} rows the same`
    }
  } finally {
    rmSync(data, { force: true })
    rmSync(out, { force: true })
  }
  const sums = Int32Array.from({ length: 1000 * K }, (_, i) => (sketches[i] ?? 0) << 12)
  const multipliers = new Uint32Array(1000).fill(1)
  const table = await median(200, async () => score({ sums, k: K, query, multipliers, top: 32 }))
  const speed = (rows * K) / ours / 1e6
  return [
    `scan of ${rows} x ${K} int8, one query, exact top ${TOP}: ${ours.toFixed(1)} ms (${speed.toFixed(1)} GB/s); ${peer}`,
    `contributor scoring 1,000 x ${K}: ${table.toFixed(3)} ms (floor 2, aim 0.5)`,
  ].join('\n')
}

async function median(rounds: number, work: () => Promise<unknown>): Promise<number> {
  await work()
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const began = performance.now()
    await work()
    times.push(performance.now() - began)
  }
  return times.sort((a, b) => a - b)[rounds >> 1] as number
}
