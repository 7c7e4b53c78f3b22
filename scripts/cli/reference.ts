/** The reference of commands and options in `scripts/README.md`, from the same tables as `--help`. */
import { effectOf } from '../../node/configure.ts'
import { flagOf, OPTION_NAMES, OPTION_TABLE, variableOf } from '../../node/options.ts'
import type { Command } from './command.ts'

const BEGIN = '<!-- reference: npm run build:reference -->'
const END = '<!-- end of reference -->'

/** `readme` with the part between the marks made anew. */
export function withReference(readme: string, commands: readonly Command[]): string {
  const [before = '', rest] = readme.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error(`the README lacks ${BEGIN} ... ${END}`)
  return `${before}${BEGIN}\n\n${referenceOf(commands)}\n${END}${after}`
}

function referenceOf(commands: readonly Command[]): string {
  const commandRows = commands.map(
    ({ name, args, summary }) => `| \`${name}${args ? ` ${args}` : ''}\` | ${cell(summary)} |`,
  )
  const groups = [...new Set(OPTION_NAMES.map((name) => OPTION_TABLE[name].group))]
  const tables = groups.map((group) => {
    const rows = OPTION_NAMES.filter((name) => OPTION_TABLE[name].group === group).map((name) => {
      const flag = OPTION_TABLE[name].isSecret ? '(no flag)' : `\`--${flagOf(name)}\``
      return `| ${flag} | \`${variableOf(name)}\` | \`${name}\` | ${cell(effectOf(name))} |`
    })
    return `**${group}**\n\n| flag | environment | config.json | effect |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  return `| command | what |\n|---|---|\n${commandRows.join('\n')}\n\n${tables.join('\n')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
