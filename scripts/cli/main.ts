/**
 * Finds the command that was asked for, reads its line, runs it. Each command is a file in `commands/`; an error becomes
 * one line on stderr and a documented exit status (`exit.ts`).
 */
import { messageOf } from '../../node/base/errors.ts'
import { allCommands, commandsFor, overview } from '../commands/index.ts'
import { asksForFamily, helpOf, readCall, readLine } from './command.ts'
import { codeOf, EXIT, type ExitCode, exitOf } from './exit.ts'

async function main(line: readonly string[]): Promise<ExitCode> {
  const [word = '--help'] = line
  if (word === '--help' || word === '-h') {
    process.stdout.write(overview(await allCommands()))
    return EXIT.ok
  }
  if (word === '--version') return main(['version'])
  const commands = await commandsFor(word)
  if (asksForFamily(line, commands)) {
    process.stdout.write(overview(commands))
    return EXIT.ok
  }
  const { command, rest } = readLine(line, commands)
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

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const code = codeOf(error)
  const stack = code === undefined && error instanceof Error ? `\n${error.stack}` : ''
  // `openledger errors CODE` says more.
  const named = code === undefined ? '' : ` [${code}]`
  process.stderr.write(`openledger: ${messageOf(error)}${named}${stack}\n`)
  // Not only the status: a node that failed to start may have left sockets and threads.
  process.exit(exitOf(error))
}
