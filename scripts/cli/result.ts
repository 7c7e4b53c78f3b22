/** What a command found, on stdout: lines for people, or with --json one line for programs. */
import type { Call, FlagSpec } from './command.ts'

export const JSON_FLAG: { readonly json: FlagSpec } = { json: { help: 'as JSON' } }

/** @param value with `bigint`s as decimal texts */
export function show(
  { switches }: Pick<Call, 'switches'>,
  value: unknown,
  lines: readonly string[],
): void {
  const text = switches.has('json') ? JSON.stringify(value, plain) : lines.join('\n')
  process.stdout.write(`${text}\n`)
}

const plain = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value
