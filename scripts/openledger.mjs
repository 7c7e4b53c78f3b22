#!/usr/bin/env node
/**
 * The installed `openledger` command: runs `openledger.ts` here when this Node is new enough, or in the
 * Node that the package pins. Plain JavaScript for any Node.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const script = join(here, 'openledger.ts')
const [major, minor] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 18)) await import(script)
else runPinned(join(here, '..', 'node_modules', 'node', 'bin', 'node'))

function runPinned(pinned) {
  if (!existsSync(pinned)) {
    console.error(`openledger: needs Node.js 22.18 or newer, this is ${process.versions.node}`)
    process.exit(2)
  }
  const child = spawn(pinned, [script, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal's Ctrl-C reaches the child by itself; a second one would end it at once.
    const isFromTerminal = signal === 'SIGINT' && process.stdin.isTTY
    process.on(signal, () => isFromTerminal || child.kill(signal))
  }
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}
