/** What a command found, on stdout: words for people, or with --json one line for programs. */
import type { Call, FlagSpec } from './command.ts'

export const JSON_FLAG: { readonly json: FlagSpec } = { json: { help: 'as JSON' } }

/** @param data with `bigint`s as decimal texts */
export function printResult(
  { switches }: Pick<Call, 'switches'>,
  data: object,
  text: string,
): void {
  process.stdout.write(`${switches.has('json') ? JSON.stringify(data, plain) : text}\n`)
}

const plain = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value
