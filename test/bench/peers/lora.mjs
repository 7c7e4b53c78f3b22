/**
 * llama.cpp with an adapter a request, run by serving.ts from a folder where node-llama-cpp is installed. It
 * does not batch requests of different adapters: each has a context of its own, and all are asked at once.
 * argv: file, folder of adapters, requests, prompt tokens, new tokens, threads. Prints tokens a second.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [file, folder, ...sizes] = process.argv.slice(2)
const [requests, context, count, threads] = sizes.map(Number)
const require = createRequire(join(process.cwd(), 'package.json'))
const { getLlama, LlamaLogLevel } = await import(
  pathToFileURL(require.resolve('node-llama-cpp')).href
)
const level = { logLevel: LlamaLogLevel.error, maxThreads: threads }
const llama = await getLlama({ gpu: false, build: 'never', ...level })
const model = await llama.loadModel({ modelPath: file })
const sequences = []
for (let i = 0; i < requests; i++) {
  const lora = { adapters: [{ filePath: join(folder, `a${i}.gguf`), scale: 1 }] }
  const session = await model.createContext({ contextSize: context + count + 64, threads, lora })
  sequences.push(session.getSequence())
}

async function answer(sequence, i, n) {
  const prompt = Array.from({ length: context }, (_, j) => (i * 31 + j * 7919) % 49_152)
  let done = 0
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    done += 1
    if (done === n) break
  }
  return done
}

await answer(sequences[0], 0, 2)
await sequences[0].clearHistory()
const start = performance.now()
const done = await Promise.all(sequences.map((sequence, i) => answer(sequence, i, count)))
const seconds = (performance.now() - start) / 1000
process.stdout.write(`${done.reduce((sum, n) => sum + n, 0) / seconds}\n`)
process.exit(0)
