/**
 * Every command of `openledger`, in the order in which help shows them, by the word it begins with. Each word names a
 * file, and a line loads the file of its word alone: a node's start would else load what every other command needs.
 */
import type { Command } from '../cli/command.ts'
import { EXIT_HELP } from '../cli/exit.ts'

type Load = () => Promise<readonly Command[]>

const FILES: Readonly<Record<string, Load>> = {
  init: async () => [(await import('./init.ts')).init],
  deploy: async () => [(await import('./deploy.ts')).deploy],
  run: async () => [(await import('./run.ts')).run],
  devnet: async () => [(await import('./devnet.ts')).devnet],
  status: async () => [(await import('./status.ts')).status],
  doctor: async () => [(await import('./doctor.ts')).doctor],
  errors: async () => [(await import('./errors.ts')).errors],
  snapshot: async () => (await import('./snapshot.ts')).snapshotCommands,
  db: async () => (await import('./db.ts')).dbCommands,
  import: async () => [(await import('./import.ts')).importChain],
  export: async () => {
    const [{ exportChain }, { exportCroissant, exportProv }] = await Promise.all([
      import('./import.ts'),
      import('./export.ts'),
    ])
    return [exportChain, exportCroissant, exportProv]
  },
  job: async () => (await import('./job.ts')).jobCommands,
  worker: async () => [(await import('./worker.ts')).worker],
  mcp: async () => [(await import('./mcp.ts')).mcp],
  model: async () => (await import('./model.ts')).modelCommands,
  ask: async () => [(await import('./ask.ts')).ask],
  escrow: async () => (await import('./escrow.ts')).escrowCommands,
  rewards: async () => (await import('./rewards.ts')).rewardCommands,
  generate: async () => [(await import('./generate.ts')).generateAnswers],
  train: async () => [(await import('./train.ts')).trainAdapter],
  attribute: async () => [(await import('./attribute.ts')).attributeRows],
  attribution: async () => [(await import('./attribution.ts')).verifyAttribution],
  bench: async () => [(await import('./bench.ts')).benchEngine],
  datanet: async () => (await import('./datanet.ts')).datanetCommands,
  market: async () => (await import('./market.ts')).marketCommands,
  provenance: async () => [(await import('./provenance.ts')).provenance],
  supply: async () => [(await import('./supply.ts')).supply],
  account: async () => (await import('./account.ts')).accountCommands,
  config: async () => [(await import('./config.ts')).configPrint],
  token: async () => [(await import('./token.ts')).token],
  completion: async () => [(await import('./completion.ts')).completion],
  version: async () => [(await import('./version.ts')).version],
  help: async () => [help],
}

const help: Command = {
  name: 'help',
  summary: 'Shows every command, or one in full',
  args: '[command] [subcommand]',
  run: async ({ args }) => {
    const { helpOf, readLine } = await import('../cli/command.ts')
    const commands = await allCommands()
    const text = args.length ? helpOf(readLine(args, commands).command) : overview(commands)
    process.stdout.write(text)
    return undefined
  },
}

/** Those that begin with `word`; all when none does, for whoever says what was meant. */
export async function commandsFor(word: string): Promise<readonly Command[]> {
  const load = Object.hasOwn(FILES, word) ? FILES[word] : undefined
  return load ? load() : allCommands()
}

export async function allCommands(): Promise<readonly Command[]> {
  return (await Promise.all(Object.values(FILES).map((load) => load()))).flat()
}

export function overview(commands: readonly Command[]): string {
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(18)} ${summary}`)
  return `usage: openledger <command> [flags]

${lines.join('\n')}

'openledger <command> --help' shows its flags. ${EXIT_HELP}
`
}
