/** `openledger config print`: every option, its value, and who said so. */

import type { Origin } from '../../node/configure.ts'
import { flagOf, isSecret, OPTION_NAMES, variableOf } from '../../node/options.ts'
import { ALL_GROUPS, type Command } from '../cli/command.ts'

export const configPrint: Command = {
  name: 'config print',
  summary: 'Shows every option and its value; with --origin also where the value came from',
  flags: {
    origin: { help: 'a column with the flag, variable or file of each value' },
    json: { help: 'as JSON' },
  },
  options: ALL_GROUPS,
  run: async ({ configure, switches }) => {
    const { options, origins } = configure()
    const rows = OPTION_NAMES.map((name) => ({
      name,
      value: isSecret(name) && options[name] !== null ? '(a secret)' : options[name],
      origin: originText(origins[name]),
    }))
    if (switches.has('json')) {
      const entries = rows.map(({ name, value, origin }) => [
        name,
        switches.has('origin') ? { value, origin } : value,
      ])
      process.stdout.write(`${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`)
      return undefined
    }
    for (const { name, value, origin } of rows) {
      const left = `${isSecret(name) ? variableOf(name) : flagOf(name)}`.padEnd(30)
      const text = value === null || (Array.isArray(value) && !value.length) ? '-' : String(value)
      const line = switches.has('origin')
        ? `${left} ${text.padEnd(40)} ${origin}`
        : `${left} ${text}`
      process.stdout.write(`${line}\n`)
    }
    return undefined
  },
}

function originText(origin: Origin): string {
  if (origin.kind === 'default') return 'default'
  return origin.kind === 'file' ? `file ${origin.path}` : `${origin.kind} ${origin.name}`
}
