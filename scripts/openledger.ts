/**
 * The `openledger` command: finds the command, reads its line, runs it. Each command is a file in
 * `commands/`; an error becomes one line on stderr and a documented exit status (`cli/exit.ts`).
 */
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { messageOf, NodeError } from '../node/base/errors.ts'
import { helpOf, readCall, readLine } from './cli/command.ts'
import { EXIT, type ExitCode, exitOf } from './cli/exit.ts'
import { COMMANDS, overview } from './commands/index.ts'

/** Part of a start is reading and compiling modules: what came out is kept for the next one, and for the threads and
 * processes that this one starts. Where it cannot be, nothing is lost but time. */
function keepCompiled(): void {
  try {
    const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
    process.env.NODE_COMPILE_CACHE ??= join(caches, 'openledger')
    enableCompileCache(process.env.NODE_COMPILE_CACHE)
  } catch {
    // A user without an entry in passwd and without HOME, as in some containers.
  }
}

async function main(line: readonly string[]): Promise<ExitCode> {
  if (line.length === 0 || line[0] === '--help' || line[0] === '-h') {
    process.stdout.write(overview())
    return EXIT.ok
  }
  if (line[0] === '--version') return main(['version'])
  const { command, rest } = readLine(line, COMMANDS)
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(helpOf(command))
    return EXIT.ok
  }
  return (await command.run(readCall(command, rest, process.env))) ?? EXIT.ok
}

// `openledger ... | head` is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  throw error
})

keepCompiled()

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const stack = error instanceof NodeError || !(error instanceof Error) ? '' : `\n${error.stack}`
  // `openledger errors CODE` says more.
  const code = error instanceof NodeError ? ` [${error.code}]` : ''
  process.stderr.write(`openledger: ${messageOf(error)}${code}${stack}\n`)
  // Not only the status: a node that failed to start may have left sockets and threads.
  process.exit(exitOf(error))
}
