/**
 * Single-stream greedy decoding by llama.cpp, run by decode.ts from a folder where node-llama-cpp is installed.
 * argv: file, context, tokens, threads. Prints tokens a second.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [file, ...sizes] = process.argv.slice(2)
const [context, count, threads] = sizes.map(Number)
const require = createRequire(join(process.cwd(), 'package.json'))
const { getLlama, LlamaLogLevel } = await import(
  pathToFileURL(require.resolve('node-llama-cpp')).href
)
const level = { logLevel: LlamaLogLevel.error, maxThreads: threads }
const llama = await getLlama({ gpu: false, build: 'never', ...level })
const model = await llama.loadModel({ modelPath: file })
const session = await model.createContext({ contextSize: context + count + 64, threads })
const sequence = session.getSequence()
const prompt = Array.from({ length: context }, (_, i) => (i * 7919) % 49_152)
let done = -1
let start = 0
for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
  if (done < 0) start = performance.now()
  done += 1
  if (done === count) break
}
process.stdout.write(`${(count * 1000) / (performance.now() - start)}\n`)
process.exit(0)
