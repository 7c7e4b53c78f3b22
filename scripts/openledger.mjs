#!/usr/bin/env node
/** The installed `openledger` command: starts `openledger.ts` with the Node that the package pins. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const pinned = join(here, '..', 'node_modules', 'node', 'bin', 'node')
const child = spawn(
  existsSync(pinned) ? pinned : process.execPath,
  [join(here, 'openledger.ts'), ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
