/**
 * The operator's options, read once into a frozen object: flag, then environment, then configuration
 * file, then default, with where each value came from. The file is `--config FILE`, or `config.json` in
 * the data directory when there is one.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, userError } from './base/errors.ts'
import { levelsOf } from './base/log.ts'
import { nearest } from './base/nearest.ts'
import {
  flagOf,
  type NodeOptions,
  OPTION_NAMES,
  OPTION_TABLE,
  type OptionEntry,
  type OptionGroup,
  type OptionKind,
  variableOf,
} from './options.ts'

export type Texts = Readonly<Record<string, string | undefined>>

/** Where a value came from, as a person would look for it. */
export type Origin =
  | { readonly kind: 'flag' | 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'default' }

export type Configuration = {
  readonly options: NodeOptions
  readonly origins: { readonly [K in keyof NodeOptions]: Origin }
  /** The configuration file that was read. */
  readonly file: string | null
}

type Found = { readonly value: unknown; readonly origin: Origin }

const PORT_MAX = 65_535
const NUMBERS: readonly OptionKind[] = ['number', 'positive', 'port']

/** `flags` by name without dashes, `config` among them. @throws NodeError `options` naming the option,
 * its value and where it came from. */
export function configure(flags: Texts, environment: Texts): Configuration {
  const path = configFileOf(flags, environment)
  const file = path === null ? {} : readConfigFile(path)
  const options: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const name of OPTION_NAMES) {
    const entry = OPTION_TABLE[name]
    const { value, origin } =
      fromText(name, entry, flags, environment) ??
      (Object.hasOwn(file, name) && path !== null
        ? { value: file[name], origin: { kind: 'file', path } as const }
        : { value: entry.fallback, origin: { kind: 'default' } as const })
    check(name, entry, value)
    options[name] = value
    origins[name] = origin
  }
  levelsOf(options.logLevels as readonly string[])
  return {
    options: Object.freeze(options) as NodeOptions,
    origins: origins as Configuration['origins'],
    file: path,
  }
}

/** @throws NodeError `options` */
export function parseOptions(flags: Texts, environment: Texts): NodeOptions {
  return configure(flags, environment).options
}

/** Lines for `--help`: flags, secrets by their variable, defaults; some groups, or all. */
export function optionsHelp(groups?: readonly OptionGroup[]): string {
  return OPTION_NAMES.filter((name) => !groups || groups.includes(OPTION_TABLE[name].group))
    .map((name) => {
      const entry = OPTION_TABLE[name]
      const left = entry.isSecret ? variableOf(name) : `--${flagOf(name)}`
      return `  ${left.padEnd(30)} ${effectOf(name)}`
    })
    .join('\n')
}

/** The effect, its choices and its default, one line. */
export function effectOf(name: keyof NodeOptions): string {
  const { help, choices, fallback } = OPTION_TABLE[name]
  const isEmpty = fallback === null || (Array.isArray(fallback) && fallback.length === 0)
  const notes = [choices?.join(' | '), isEmpty ? undefined : `default ${shortened(fallback)}`]
  const known = notes.filter((note) => note !== undefined)
  return known.length ? `${help} (${known.join('; ')})` : help
}

/** The default model's place depends on where the package is. */
function shortened(fallback: unknown): string {
  const text = String(fallback)
  return text.endsWith('native/models/base') ? 'the embedded one' : text
}

function configFileOf(flags: Texts, environment: Texts): string | null {
  const named = flags.config ?? environment.OPENLEDGER_CONFIG
  if (named !== undefined) return named
  const dataDir = fromText('dataDir', OPTION_TABLE.dataDir, flags, environment)?.value
  const standard = join(String(dataDir ?? OPTION_TABLE.dataDir.fallback), 'config.json')
  return existsSync(standard) ? standard : null
}

function readConfigFile(path: string): Record<string, unknown> {
  let file: unknown
  try {
    file = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw userError('options', `cannot read the configuration file ${path}: ${messageOf(error)}`)
  }
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    throw userError('options', `the configuration file ${path} is not an object of options`)
  }
  const unknown = Object.keys(file).find((name) => !Object.hasOwn(OPTION_TABLE, name))
  if (unknown !== undefined) {
    const near = nearest(unknown, OPTION_NAMES)
    throw userError(
      'options',
      `the configuration file ${path} has an unknown option '${unknown}'${near ? `: did you mean '${near}'?` : ''}`,
    )
  }
  return file as Record<string, unknown>
}

function fromText(
  name: string,
  { kind, aliases = [], isSecret }: OptionEntry,
  flags: Texts,
  environment: Texts,
): Found | null {
  const flag = isSecret
    ? undefined
    : [flagOf(name), ...aliases].find((spelling) => flags[spelling] !== undefined)
  if (flag !== undefined) {
    const origin = { kind: 'flag', name: `--${flag}` } as const
    return { value: parseText(kind, flags[flag] as string, origin.name), origin }
  }
  const variable = variableOf(name)
  const text = environment[variable]
  if (text === undefined) return null
  return {
    value: parseText(kind, isSecret ? text.trim() : text, variable),
    origin: { kind: 'environment', name: variable },
  }
}

function parseText(kind: OptionKind, text: string, source: string): unknown {
  if (kind === 'string') return text
  if (kind === 'list') return text.split(',').filter((item) => item !== '')
  if (NUMBERS.includes(kind) && /^\d{1,15}$/.test(text)) return Number(text)
  if (kind === 'boolean' && /^(true|false)$/.test(text)) return text === 'true'
  throw userError('options', `${source} is '${text}'; it must be a ${wordOf(kind)}`)
}

function check(name: string, entry: OptionEntry, value: unknown): void {
  const { kind, fallback, choices, isSecret } = entry
  if (value === null && fallback === null) return
  const shown = isSecret ? '(a secret)' : JSON.stringify(value)
  if (!isOf(kind, value)) {
    throw userError('options', `option '${name}' is ${shown}; it must be a ${wordOf(kind)}`)
  }
  if (choices && !choices.includes(value as string)) {
    const near = nearest(String(value), choices)
    throw userError(
      'options',
      `option '${name}' is '${value}', which is none of ${choices.join(', ')}${near ? `: did you mean '${near}'?` : ''}`,
    )
  }
}

function isOf(kind: OptionKind, value: unknown): boolean {
  if (kind === 'list') return Array.isArray(value) && value.every((x) => typeof x === 'string')
  if (kind === 'port')
    return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= PORT_MAX
  if (kind === 'number' || kind === 'positive')
    return Number.isSafeInteger(value) && (value as number) >= (kind === 'positive' ? 1 : 0)
  return typeof value === kind
}

function wordOf(kind: OptionKind): string {
  if (kind === 'port') return `port, 0 to ${PORT_MAX}`
  if (kind === 'positive') return 'whole number above zero'
  if (kind === 'number') return 'number, whole and not negative'
  if (kind === 'list') return 'list of texts'
  return kind
}
