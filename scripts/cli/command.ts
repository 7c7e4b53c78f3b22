/**
 * What a command of `openledger` is, and how its line is read. A command says its name, its arguments and
 * its flags; help, completion and suggestions for typing errors follow from that. Commands that need
 * a node's options take whole groups of them from `node/options.ts`.
 */
import { parseArgs } from 'node:util'
import { userError } from '../../node/base/errors.ts'
import { nearest } from '../../node/base/nearest.ts'
import { type Configuration, configure, optionsHelp, type Texts } from '../../node/configure.ts'
import { flagOf, OPTION_NAMES, OPTION_TABLE, type OptionGroup } from '../../node/options.ts'
import { EXIT_HELP, type ExitCode } from './exit.ts'

export type FlagSpec = {
  readonly help: string
  /** What stands after the flag (`N`, `FILE`); a flag without one is a switch. */
  readonly value?: string
  readonly fallback?: string
}

export type Call = {
  /** What is not a flag, after the command's name. */
  readonly args: readonly string[]
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly switches: ReadonlySet<string>
  /** The node's options by flag, environment, file, default. @throws NodeError `options` */
  configure(): Configuration
}

export type Command = {
  /** One word or two: `run`, `snapshot create`. */
  readonly name: string
  readonly summary: string
  /** As help shows them: `<dir> [file]`. Optional ones are in brackets; `[dir…]` at the end: any number. */
  readonly args?: string
  readonly flags?: Readonly<Record<string, FlagSpec>>
  /** Groups of node options that the command takes. */
  readonly options?: readonly OptionGroup[]
  readonly notes?: string
  run(call: Call): Promise<ExitCode | undefined>
}

export const ALL_GROUPS: readonly OptionGroup[] = [
  'node',
  'L1',
  'network',
  'keys',
  'operation',
  'models',
  'batching',
  'settlement',
]

/** Finds the command that a line names and reads the rest. @throws NodeError `usage` */
export function readLine(
  line: readonly string[],
  commands: readonly Command[],
): { command: Command; rest: readonly string[] } {
  const [first = 'help', second = ''] = line
  const two = commands.find(({ name }) => name === `${first} ${second}`)
  if (two) return { command: two, rest: line.slice(2) }
  const one = commands.find(({ name }) => name === first)
  if (one) return { command: one, rest: line.slice(1) }
  const family = commands.filter(({ name }) => name.startsWith(`${first} `))
  if (family.length > 0) {
    const words = family.map(({ name }) => name.slice(first.length + 1))
    throw unknownWord(`${first} ${second}`.trim(), second, words, `openledger ${first}`)
  }
  const words = [...new Set(commands.map(({ name }) => name.split(' ')[0] as string))]
  throw unknownWord(first, first, words, 'openledger')
}

/** `openledger bench --help`, where `bench` alone is no command: help on all that begin so. */
export function asksForFamily(line: readonly string[], commands: readonly Command[]): boolean {
  const [first, second = ''] = line
  const isFamily = commands.every(({ name }) => name.startsWith(`${first} `))
  return isFamily && ['--help', '-h'].includes(second)
}

/** @throws NodeError `usage` naming the flag and the one that was meant */
export function readCall(command: Command, rest: readonly string[], environment: Texts): Call {
  const { values, positionals } = parse(command, rest)
  const isOpen = command.args?.endsWith('…]') === true
  const named = command.args?.split(' ').filter(Boolean).length ?? 0
  const most = isOpen ? Number.POSITIVE_INFINITY : named
  const least = command.args?.split(' ').filter((word) => word.startsWith('<')).length ?? 0
  if (positionals.length > most)
    throw userError(
      'usage',
      `unexpected argument '${positionals[most]}'; usage: ${usageOf(command)}`,
    )
  if (positionals.length < least)
    throw userError('usage', `an argument is missing; usage: ${usageOf(command)}`)
  const texts: Record<string, string | undefined> = {}
  for (const [name, { fallback }] of Object.entries(command.flags ?? {})) texts[name] = fallback
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') texts[name] = value
  }
  return {
    args: positionals,
    flags: texts,
    switches: new Set(Object.keys(values).filter((name) => values[name] === true)),
    configure: () => configure(texts, environment),
  }
}

export function usageOf({ name, args, flags, options }: Command): string {
  const hasFlags = flags !== undefined || options !== undefined
  return ['openledger', name, args, hasFlags ? '[flags]' : ''].filter(Boolean).join(' ')
}

export function helpOf(command: Command): string {
  const { summary, flags = {}, options, notes } = command
  const own = Object.entries(flags).map(([name, { value, help, fallback }]) => {
    const left = `--${name}${value ? ` ${value}` : ''}`
    return `  ${left.padEnd(30)} ${help}${fallback ? ` (default ${fallback})` : ''}`
  })
  const sections = [
    `usage: ${usageOf(command)}`,
    summary,
    own.length ? `Flags:\n${own.join('\n')}` : '',
    options
      ? `Options (flag, then environment OPENLEDGER_*, then ${'`config.json`'} in the data directory or --config FILE, then default):\n${optionsHelp(options)}`
      : '',
    notes ?? '',
    EXIT_HELP,
  ]
  return `${sections.filter(Boolean).join('\n\n')}\n`
}

/** Every flag a command takes, with whether a value follows. */
export function flagsOf(command: Command): ReadonlyMap<string, { takesValue: boolean }> {
  const out = new Map<string, { takesValue: boolean }>([['help', { takesValue: false }]])
  for (const [name, { value }] of Object.entries(command.flags ?? {})) {
    out.set(name, { takesValue: value !== undefined })
  }
  if (command.options) {
    out.set('config', { takesValue: true })
    for (const name of OPTION_NAMES) {
      const { group, aliases = [], isSecret } = OPTION_TABLE[name]
      if (isSecret || !command.options.includes(group)) continue
      for (const spelling of [flagOf(name), ...aliases]) out.set(spelling, { takesValue: true })
    }
  }
  return out
}

function parse(
  command: Command,
  rest: readonly string[],
): { values: Record<string, string | boolean | undefined>; positionals: string[] } {
  const known = flagsOf(command)
  const options = Object.fromEntries(
    [...known].map(([name, { takesValue }]) => [
      name,
      { type: takesValue ? ('string' as const) : ('boolean' as const) },
    ]),
  )
  for (const word of rest) {
    if (word === '--') break
    const name = word.match(/^--([^=]+)/)?.[1]
    if (name === undefined || known.has(name)) continue
    const near = nearest(name, [...known.keys()])
    throw userError(
      'usage',
      `unknown flag --${name}${near ? `: did you mean --${near}?` : ''}; 'openledger ${command.name} --help' lists them`,
    )
  }
  try {
    return parseArgs({ args: [...rest], options, allowPositionals: true })
  } catch (error) {
    const [message = ''] = (error as Error).message.split('\n')
    throw userError('usage', message.charAt(0).toLowerCase() + message.slice(1))
  }
}

function unknownWord(shown: string, word: string, known: readonly string[], prefix: string): Error {
  const near = nearest(word, known)
  const hint = near ? `did you mean '${prefix} ${near}'?` : `known: ${known.join(', ')}`
  return userError('usage', `unknown command '${shown}': ${hint}`)
}
