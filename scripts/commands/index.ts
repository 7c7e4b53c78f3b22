/** Every command of `openledger`, in the order in which help shows them. */
import type { Command } from '../cli/command.ts'
import { EXIT_HELP } from '../cli/exit.ts'
import { accountCommands } from './account.ts'
import { attributeRows } from './attribute.ts'
import { verifyAttribution } from './attribution.ts'
import { benchEngine } from './bench.ts'
import { completion } from './completion.ts'
import { configPrint } from './config.ts'
import { datanetCommands } from './datanet.ts'
import { dbStats, dbVerify } from './db.ts'
import { devnet } from './devnet.ts'
import { doctor } from './doctor.ts'
import { exportCroissant, exportProv } from './export.ts'
import { generateAnswers } from './generate.ts'
import { exportChain, importChain } from './import.ts'
import { init } from './init.ts'
import { jobCommands } from './job.ts'
import { mcp } from './mcp.ts'
import { modelFetch } from './model.ts'
import { provenance } from './provenance.ts'
import { run } from './run.ts'
import { snapshotCreate, snapshotRestore, snapshotVerify } from './snapshot.ts'
import { status } from './status.ts'
import { token } from './token.ts'
import { trainAdapter } from './train.ts'
import { version } from './version.ts'
import { worker } from './worker.ts'

const help: Command = {
  name: 'help',
  summary: 'Shows every command, or one in full',
  args: '[command] [subcommand]',
  run: async ({ args }) => {
    const { helpOf, readLine } = await import('../cli/command.ts')
    const text = args.length ? helpOf(readLine(args, COMMANDS).command) : overview()
    process.stdout.write(text)
    return undefined
  },
}

export const COMMANDS: readonly Command[] = [
  init,
  run,
  devnet,
  status,
  doctor,
  snapshotCreate,
  snapshotVerify,
  snapshotRestore,
  dbStats,
  dbVerify,
  importChain,
  exportChain,
  ...jobCommands,
  worker,
  mcp,
  modelFetch,
  generateAnswers,
  trainAdapter,
  attributeRows,
  benchEngine,
  ...datanetCommands,
  verifyAttribution,
  provenance,
  exportCroissant,
  exportProv,
  ...accountCommands,
  configPrint,
  token,
  completion,
  version,
  help,
]

export function overview(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(18)} ${summary}`)
  return `usage: openledger <command> [flags]

${lines.join('\n')}

'openledger <command> --help' shows its flags. ${EXIT_HELP}
`
}
