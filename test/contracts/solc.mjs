#!/usr/bin/env node
/**
 * The compiler of the npm package `solc` with the command line that forge calls: `--version` and `--standard-json`.
 * Code is made for the tests alone. What they test stands in the alloc as it was built, so of its sources only the
 * types are wanted, and a run takes seconds instead of minutes.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const solc = createRequire(import.meta.url)('solc')

if (process.argv.includes('--version')) {
  const version = solc.version().replace('.Emscripten.clang', '.Linux.g++')
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`)
} else {
  const input = JSON.parse(readFileSync(0, 'utf8'))
  const selection = input.settings.outputSelection
  for (const path of Object.keys(input.sources)) {
    if (!path.endsWith('.t.sol')) delete selection[path]
    else selection[path] ??= selection['*']
  }
  delete selection['*']
  process.stdout.write(solc.compile(JSON.stringify(input)))
}
