#!/usr/bin/env node
/**
 * The `openledger` command: what comes before its modules are loaded (`cli/main.ts`). It runs here when this Node is new
 * enough, else in the Node that the package pins. Plain JavaScript: for any Node, and with nothing to strip.
 *
 * Most of a start is finding, stripping and compiling modules. What came out is kept for the next start, and for the
 * threads and processes that this one starts; where it cannot be kept, nothing is lost but time.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(import.meta.url)
const [major, minor] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 18)) {
  keepCompiled()
  await import('./cli/main.ts')
} else {
  runPinned(join(dirname(here), '..', 'node_modules', 'node', 'bin', 'node'))
}

function keepCompiled() {
  try {
    const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
    process.env.NODE_COMPILE_CACHE ??= join(caches, 'openledger')
    module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  } catch {
    // A user without an entry in passwd and without HOME, as in some containers.
  }
}

function runPinned(pinned) {
  if (!existsSync(pinned)) {
    console.error(`openledger: needs Node.js 22.18 or newer, this is ${process.versions.node}`)
    process.exit(2)
  }
  const child = spawn(pinned, [here, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal's Ctrl-C reaches the child by itself; a second one would end it at once.
    const isFromTerminal = signal === 'SIGINT' && process.stdin.isTTY
    process.on(signal, () => isFromTerminal || child.kill(signal))
  }
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}
