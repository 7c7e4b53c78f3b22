/** Asking a person: a password without echo, a yes. Only on a terminal; a script gets an error that says so. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { userError } from '../../node/base/errors.ts'

/** Undefined where there is nobody to ask. */
export function passwordPrompt(): ((question: string) => Promise<string>) | undefined {
  return process.stdin.isTTY ? askHidden : undefined
}

async function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** The whole of standard input, for `account import` in a script. @throws NodeError `usage` on a terminal */
export async function readStdin(what: string): Promise<string> {
  if (process.stdin.isTTY) throw userError('usage', `${what}: give a file, or - and pipe it in`)
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
