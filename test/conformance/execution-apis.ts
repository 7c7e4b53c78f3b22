/**
 * Ethereum's JSON-RPC conformance suite (execution-apis, compared as hive compares) against `openledger run
 * --offline`: its chain is imported, served by a process of its own, and every case is asked in order. Each result must
 * fit the schema of the node's own method table too. Prints a table by method and the first difference of each case that
 * fails.
 *
 *   node test/conformance/execution-apis.ts [folder of the suite] [--only TEXT] [--json FILE] [--url URL]
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { ResultCheck } from '../support/result-check.ts'

export const SUITE: string = resolve(
  import.meta.dirname,
  '../../../shared/conformance/execution-apis',
)

export type CaseResult = {
  readonly name: string
  readonly method: string
  /** null: as recorded. */
  readonly fault: string | null
}

type Case = {
  readonly name: string
  readonly isSpecOnly: boolean
  readonly pairs: readonly { readonly request: string; readonly response: string }[]
}

type RunOptions = {
  /** Cases whose name contains it. */
  readonly only?: string
  /** Each answer must be there by then; default: hive's 5 s. */
  readonly timeoutMs?: number
}

const HIVE_TIMEOUT_MS = 5_000

/** Imports the suite's chain, serves it, runs the cases. */
export async function runSuite(
  suite: string = SUITE,
  options: RunOptions = {},
): Promise<CaseResult[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'openledger-conformance-'))
  try {
    const tests = join(suite, 'tests')
    const files = ['--genesis', join(tests, 'genesis.json'), '--chain', join(tests, 'chain.rlp')]
    await openledger(['import', '--datadir', dataDir, ...files]).ended
    const server = openledger(['run', '--offline', '--datadir', dataDir, '--http-port', '0'])
    try {
      return await runCases(await server.url, suite, options)
    } finally {
      server.stop()
      await server.ended
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function runCases(
  url: string,
  suite: string,
  { only = '', timeoutMs = HIVE_TIMEOUT_MS }: RunOptions,
): Promise<CaseResult[]> {
  const { methods } = JSON.parse(
    readFileSync(join(suite, 'openrpc/result-schemas.json'), 'utf8'),
  ) as { methods: Record<string, object> }
  const spec = new ResultCheck(
    Object.fromEntries(Object.entries(methods).map(([name, result]) => [name, { result }])),
  )
  const own = ResultCheck.ofDocument(await discover(url, timeoutMs))
  const results: CaseResult[] = []
  for (const one of readCases(join(suite, 'tests'))) {
    if (!one.name.includes(only)) continue
    const method = one.name.split('/')[0] as string
    const fault = await runCase({ url, timeoutMs, spec, own }, one)
    results.push({ name: one.name, method, fault })
  }
  return results
}

function readCases(folder: string): Case[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.io'))
    .sort()
    .map((name) => readCase(name, readFileSync(join(folder, name), 'utf8')))
}

/** `// comment`, `>> request`, `<< response`. */
function readCase(file: string, text: string): Case {
  const pairs: { request: string; response: string }[] = []
  let request: string | null = null
  let isSpecOnly = false
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    if (line.startsWith('// ')) {
      if (!request && pairs.length === 0) isSpecOnly ||= line.startsWith('// speconly:')
    } else if (line.startsWith('>> ')) request = line.slice(3)
    else if (line.startsWith('<< ') && request) {
      pairs.push({ request, response: line.slice(3) })
      request = null
    } else if (!line.startsWith('//')) throw new Error(`${file}: unexpected line ${line}`)
  }
  if (request) throw new Error(`${file}: a request without an answer`)
  return { name: file.replace(/\.io$/, ''), isSpecOnly, pairs }
}

type Server = {
  readonly url: string
  readonly timeoutMs: number
  /** What execution-apis says of results, and what the node says of its own. */
  readonly spec: ResultCheck
  readonly own: ResultCheck
}

async function runCase(server: Server, one: Case): Promise<string | null> {
  for (const { request, response } of one.pairs) {
    const got = await ask(server, request).catch((error: unknown) => `no answer: ${error}`)
    if (typeof got === 'string') return got
    const { method } = JSON.parse(request) as { method: string }
    const undescribed = 'error' in got ? null : server.own.fault(method, got.result)
    if (undescribed) return undescribed
    const fault =
      one.isSpecOnly && !('error' in got)
        ? server.spec.fault(method, got.result)
        : difference(JSON.parse(response), got, '')
    if (fault) return fault
  }
  return null
}

async function discover(
  url: string,
  timeoutMs: number,
): Promise<Parameters<typeof ResultCheck.ofDocument>[0]> {
  const request = { jsonrpc: '2.0', id: 1, method: 'rpc.discover', params: [] }
  const { result } = await ask({ url, timeoutMs }, JSON.stringify(request))
  return result as Parameters<typeof ResultCheck.ofDocument>[0]
}

async function ask(
  { url, timeoutMs }: Pick<Server, 'url' | 'timeoutMs'>,
  body: string,
): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(timeoutMs),
  })
  return (await answer.json()) as Record<string, unknown>
}

/** null, or the first place where the two differ. Messages of errors may. */
function difference(want: unknown, got: unknown, path: string): string | null {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null
  if (!isObject(want) || !isObject(got) || Array.isArray(want) !== Array.isArray(got)) {
    return want === got ? null : `${path || '.'} is ${brief(got)}, recorded ${brief(want)}`
  }
  const isError = path.endsWith('.error') && 'message' in want && 'message' in got
  const keys = new Set([...Object.keys(want), ...Object.keys(got)])
  if (isError) keys.delete('message')
  for (const key of keys) {
    if (!(key in want)) return `${path}.${key} is ${brief(got[key])}, recorded nothing`
    if (!(key in got)) return `${path}.${key} is missing, recorded ${brief(want[key])}`
    const fault = difference(want[key], got[key], `${path}.${key}`)
    if (fault) return fault
  }
  return null
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}

function openledger(args: readonly string[]): {
  url: Promise<string>
  ended: Promise<void>
  stop(): void
} {
  const script = resolve(import.meta.dirname, '../../scripts/openledger.mjs')
  const child = spawn(process.execPath, ['--no-warnings', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let told = ''
  child.stderr.on('data', (chunk: Buffer) => {
    told = (told + chunk.toString()).slice(-4_000)
  })
  const ended = new Promise<void>((done, fail) => {
    child.once('exit', (code) =>
      code ? fail(new Error(`openledger ${args[0]} ended with ${code}: ${told}`)) : done(),
    )
  })
  const url = new Promise<string>((found, fail) => {
    ended.then(() => fail(new Error('ended before it was ready')), fail)
    // `run` says where it listens; other commands say what they did, in words.
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('{')) found((JSON.parse(line) as { url: string }).url)
    })
  })
  url.catch(() => {})
  return { url, ended, stop: () => child.kill('SIGTERM') }
}

function table(results: readonly CaseResult[]): string {
  const methods = [...new Set(results.map(({ method }) => method))]
  const lines = methods.map((method) => {
    const own = results.filter((result) => result.method === method)
    const passed = own.filter(({ fault }) => fault === null).length
    const mark = passed === own.length ? ' ' : '!'
    return `${mark} ${method.padEnd(42)} ${String(passed).padStart(3)} of ${own.length}`
  })
  const failed = results.filter(({ fault }) => fault !== null)
  const passed = results.length - failed.length
  return [
    ...lines,
    '',
    ...failed.map(({ name, fault }) => `${name}\n    ${fault}`),
    `${passed} of ${results.length} cases as recorded`,
  ].join('\n')
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, json: { type: 'string' }, url: { type: 'string' } },
  })
  const suite = positionals[0] ?? SUITE
  if (!existsSync(join(suite, 'tests'))) throw new Error(`no suite at ${relative('.', suite)}`)
  const { only = '', url } = values
  const results = url ? await runCases(url, suite, { only }) : await runSuite(suite, { only })
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
  console.log(table(results))
  process.exitCode = results.every(({ fault }) => fault === null) ? 0 : 1
}

if (import.meta.main) await main()
