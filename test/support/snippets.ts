/**
 * The snippets of the READMEs, and running them. A fence of sh or ts says after its language what it needs:
 *
 *     ```sh               nothing: test/docs.test.ts runs it
 *     ```sh live          a devnet: test/e2e/docs.test.ts runs it, after those above it in the same file
 *     ```sh needs=docker  what no test here has (NEEDS says why)
 *     ```ts agent.ts      a program that a test reads by that name and runs
 *
 * A snippet is run as it stands, in a folder that looks like a checkout; only the ports of the devnet are put in, which
 * a test does not choose.
 */
import { execFile } from 'node:child_process'
import { globSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')
const LANGUAGES = ['sh', 'ts']
/** Other names of theirs: a snippet by such a name would not be run. */
const MISNAMED = ['bash', 'shell', 'console', 'zsh', 'typescript', 'js', 'javascript', 'mjs']
export const NEEDS: Readonly<Record<string, string>> = {
  clone: 'starts a devnet or the tests themselves; .ci/run does it',
  install: 'changes the machine: packages, units, images',
  python: 'packages of PyPI; test/e2e/tools (npm run test:tools) runs them',
}
const TIMEOUT_MS = 120_000
/** What a snippet started in the background does not outlive it. */
const NO_STRAYS = `trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n`
const SKIPPED = ['node_modules', 'native/target', '.git', '.tap']

export type Snippet = {
  readonly file: string
  readonly line: number
  readonly language: string
  /** now, live, needs=NAME, or a file's name. */
  readonly info: string
  readonly text: string
}

/** @throws Error for a fence whose language or needs are none of the known */
export function readSnippets(): Snippet[] {
  const files = globSync('**/README.md', { cwd: ROOT, exclude: (path) => SKIPPED.includes(path) })
  return files.sort().flatMap((file) => snippetsIn(file, readFileSync(join(ROOT, file), 'utf8')))
}

export function snippetsIn(file: string, text: string): Snippet[] {
  return [...text.matchAll(/^```(\w+)(?: +(\S+))?\n([\s\S]*?)^```$/gm)].flatMap((match) => {
    const [, language = '', info = 'now', body = ''] = match
    const line = text.slice(0, match.index).split('\n').length
    if (MISNAMED.includes(language)) throw new Error(`${file}:${line}: write sh or ts: ${language}`)
    if (!LANGUAGES.includes(language)) return []
    const need = /^needs=(.*)$/.exec(info)?.[1]
    if (need === undefined ? !/^(now|live|[\w-]+\.ts)$/.test(info) : !(need in NEEDS))
      throw new Error(`${file}:${line}: '${info}' is none of live, needs=…, or a file's name`)
    return { file, line, language, info, text: body }
  })
}

/** A folder in which every path of a checkout works, and what is written stays outside of the real one. */
export function makeCheckout(dir: string, devnet?: string): string {
  mkdirSync(dir, { recursive: true })
  for (const name of readdirSync(ROOT)) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, name), join(dir, name))
  }
  if (devnet) symlinkSync(devnet, join(dir, '.devnet'))
  return dir
}

/**
 * @param ports what stands for what in the text
 * @throws Error with what it wrote, when it fails
 */
export async function runSnippet(
  { file, line, language, text }: Snippet,
  {
    dir,
    ports = {},
    env = {},
    timeout = TIMEOUT_MS,
  }: { dir: string; ports?: Record<string, string>; env?: object; timeout?: number },
): Promise<string> {
  // npx looks for the same file, in a second of its own.
  let source = text.replaceAll('npx openledger', 'node scripts/openledger.mjs')
  for (const [from, to] of Object.entries(ports)) source = source.replaceAll(from, to)
  const path = join(dir, `snippet-${line}.${language}`)
  writeFileSync(path, language === 'ts' ? `${source}process.exit()\n` : `${NO_STRAYS}${source}`)
  const command = language === 'ts' ? [process.execPath, path] : ['bash', '-euo', 'pipefail', path]
  const bin = join(ROOT, 'node_modules/.bin')
  const PATH = `${join(process.execPath, '..')}:${bin}:${process.env.PATH}`
  const options = { cwd: dir, env: { ...process.env, PATH, ...env }, timeout }
  try {
    const { stdout } = await promisify(execFile)(command[0] as string, command.slice(1), options)
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${file}:${line} fails\n${text}\n${stdout}\n${stderr}`)
  }
}
