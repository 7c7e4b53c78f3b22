/** The pages of errors against the tree: each code that is thrown has its page, and each page somebody who throws it. */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { NATIVE_CODES } from '../../native/errors.ts'
import { userError } from '../../node/base/errors.ts'
import { TxError } from '../../node/chain/errors.ts'
import { allErrorsText, ERROR_GROUPS, errorPage } from '../../node/errors/catalogue.ts'
import { errorRoute } from '../../node/errors/route.ts'
import { errorOf } from '../../node/model/openai-http.ts'
import { RPC, rpcErrorOf } from '../../node/rpc/errors.ts'
import { EXIT } from '../../scripts/cli/exit.ts'
import { codeOf } from '../../scripts/doctor/examine.ts'

const root = join(import.meta.dirname, '../..')
const sources = ['node', 'sequencer', 'prover', 'precompiles', 'genesis', 'scripts'].flatMap(
  (room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/(^|\/)(dist|app)\/|generated/.test(name))
      .map((name) => ({
        name: join(room, name),
        text: readFileSync(join(root, room, name), 'utf8'),
      })),
)
const pages: string[] = ERROR_GROUPS.flatMap(({ pages }) => Object.keys(pages))

/** `userError('code', …`, `new NodeError('code', …`, `storeError('code', …`; codes in tables of refusals (`X: 'code'`). */
const THROWN = /\b(?:\w*Error|refusal|refused)\(\s*'([a-z][a-z0-9-]*)',/g
const LISTED = /^ {2}NATIVE_\w+: '([a-z][a-z0-9-]*)'|^ {2}\| '([a-z][a-z0-9-]*)'/gm

function thrown(): Map<string, string> {
  const found = new Map<string, string>()
  for (const { name, text } of sources) {
    for (const [, code] of text.matchAll(THROWN)) found.set(code as string, name)
    const isTable = name.endsWith('errors.ts') || name === 'node/model/infer.ts'
    if (isTable)
      for (const [, one, other] of text.matchAll(LISTED)) found.set((one ?? other) as string, name)
  }
  return found
}

t.test('each code that is thrown has its page', async (t) => {
  const found = thrown()
  t.ok(found.size > 180, `${found.size} codes`)
  const missing = [...found].filter(([code]) => !errorPage(code))
  t.same(missing, [], 'add a line to node/errors')
})

t.test('each page is of a code that somebody uses, and is in one place', async (t) => {
  const all = sources.map(({ name, text }) => (name.startsWith('node/errors/') ? '' : text)).join()
  const others = new Set<string>([
    ...NATIVE_CODES,
    ...Object.values(RPC).map(String),
    ...Object.values(EXIT).map((status) => `exit-${status}`),
  ])
  const known = (code: string): boolean =>
    others.has(code) || code.startsWith('doctor-') || all.includes(`'${code}'`)
  t.same(
    pages.filter((code) => !known(code)),
    [],
    'nobody throws it any more',
  )
  t.same(
    pages.filter((code, i) => pages.indexOf(code) !== i),
    [],
    'one page a code',
  )
})

t.test(
  'every number of JSON-RPC, every exit status, every finding of doctor has its page',
  async (t) => {
    const doctor = sources
      .filter(({ name }) => name.startsWith('scripts/doctor/'))
      .flatMap(({ text }) => [...text.matchAll(/\b(?:ok|warn|wrong)\('([^']+)'/g)])
      .map(([, name]) => codeOf({ name: name as string }))
    const codes = [
      ...NATIVE_CODES,
      ...Object.values(RPC).map(String),
      ...Object.values(EXIT)
        .filter((status) => status !== 0)
        .map((status) => `exit-${status}`),
      ...doctor,
      ...['l1', 'batcher key', 'p2p port'].map((name) => codeOf({ name })),
    ]
    t.same(
      codes.filter((code) => !errorPage(code)),
      [],
    )
  },
)

t.test('errors of JSON-RPC and of /v1 name their page', async (t) => {
  const refused = userError('receipt-unknown', 'no such receipt', { help: 'mine' })
  t.match(rpcErrorOf(refused)?.data, { code: 'receipt-unknown', help: '/errors/receipt-unknown' })
  const tx = new TxError({ code: 'nonce-too-low', message: 'nonce too low: 1' })
  t.match(rpcErrorOf(tx)?.data, { code: 'nonce-too-low', help: '/errors/nonce-too-low' })
  t.match(errorOf(userError('model-unknown', 'no model')).body, {
    error: { code: 'model_not_found', help: '/errors/model-unknown' },
  })
  t.equal(errorPage('model_not_found')?.code, 'model-unknown', "by OpenAI's name too")
  t.equal(errorPage('constructor'), null)
})

t.test('a node serves them: Markdown to programs, the app to browsers', async (t) => {
  const { handle } = errorRoute(async (_req, res) => void res.end('app'))
  const server = createServer((req, res) => void handle(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = async (path: string, accept = '*/*') => {
    const response = await fetch(url + path, { headers: { accept } })
    return { status: response.status, text: await response.text() }
  }
  t.match(await get('/errors/pool-full'), { status: 200, text: /^# pool-full\n.*What to do/s })
  t.equal((await get('/errors')).text, allErrorsText())
  t.match(await get('/errors/none'), { status: 404, text: /no error has the code none/i })
  t.match(await get('/errors/none', 'text/html,*/*'), { status: 200, text: 'app' })
})
