/**
 * The packed node runs where npm would put it. The archives are unpacked into a folder of their own; its
 * dependencies are this checkout's, so that no registry is needed (`npm install dist/*.tgz` does the rest).
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeChainConfig } from '../../genesis/chain.ts'
import { testConfig } from '../support/chain.ts'
import { workDir } from '../support/dir.ts'

const root = join(import.meta.dirname, '../..')
const dir = workDir(t)
const modules = join(dir, 'node_modules')
const home = join(modules, 'openledger-node')

/** By way of a shell: the test runner's loaders, which it puts into NODE_OPTIONS, are not for the compiler. */
const plainly = (args: readonly string[], cwd: string) =>
  spawnSync('sh', ['-c', 'NODE_OPTIONS= exec "$0" "$@"', process.execPath, ...args], {
    cwd,
    encoding: 'utf8',
  })
const made = plainly(['scripts/build-package.ts', join(dir, 'dist')], root)
if (made.status !== 0) throw new Error(made.stderr)
const built = JSON.parse(made.stdout) as { main: string; native: string }
for (const name of readdirSync(join(root, 'node_modules')).filter((entry) => entry[0] !== '.')) {
  mkdirSync(modules, { recursive: true })
  symlinkSync(join(root, 'node_modules', name), join(modules, name))
}
const unpack = (archive: string, into: string): void => {
  mkdirSync(into, { recursive: true })
  execFileSync('tar', ['-xzf', archive, '-C', into, '--strip-components=1'])
}
unpack(built.main, home)
const platform = built.native.match(/native-(.+)-\d+\.\d+\.\d+\.tgz$/)?.[1] as string
unpack(built.native, join(modules, '@openledger', `native-${platform}`))

const bin = join(home, 'scripts/openledger.mjs')
const installed = (...args: string[]) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: dir, encoding: 'utf8' })

t.test(
  'the package is compiled, names what it needs, and has nothing of the workshop',
  async (t) => {
    const files = readdirSync(home, { recursive: true, encoding: 'utf8' })
    t.same(
      files.filter((name) => /(?<!\.d)\.ts$|\.node$|\.rs$|\.sol$|^test/.test(name)),
      [],
    )
    const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
    t.equal(manifest.optionalDependencies[`@openledger/native-${platform}`], manifest.version)
    t.equal(manifest.dependencies.node, undefined)
    t.ok(existsSync(join(home, 'scripts/ops/openledger.service')))
    t.ok(existsSync(join(home, 'node/web/dist/index.html')), 'the web app is in it, built')
  },
)

t.test('version finds the addon in the package of this platform', async (t) => {
  const { status, stdout } = installed('version', '--json')
  t.equal(status, 0)
  t.match(JSON.parse(stdout), { openledger: /^\d/, engine: /simd=/ })
})

t.test('a program of somebody else takes the client from it, with its types', async (t) => {
  // Of its own: in this checkout's package the name would mean the sources.
  writeFileSync(join(dir, 'package.json'), '{"name":"dapp","type":"module","private":true}\n')
  const program = join(dir, 'dapp.ts')
  writeFileSync(
    program,
    `import { contracts, openLedgerActions, verifyReceipt } from 'openledger-node/client'
import { createPublicClient, http } from 'viem'
const client = createPublicClient({ transport: http('http://127.0.0.1:1') }).extend(openLedgerActions)
const found: () => Promise<{ model: string }> = client.findAgent
const price: Promise<bigint> = contracts(client).market.read.listingCount()
price.catch(() => console.log(typeof found, typeof verifyReceipt))
`,
  )
  const run = spawnSync(process.execPath, [program], { cwd: dir, encoding: 'utf8' })
  t.equal(run.stdout, 'function function\n', run.stderr)
  const options = ['--noEmit', '--strict', '--ignoreConfig', '--skipLibCheck', '--types', 'node']
  const target = ['--target', 'es2023', '--module', 'nodenext']
  const compiler = [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...target, program]
  const compile = () => plainly(compiler, dir)
  t.match(compile(), { status: 0, stdout: '' })
  writeFileSync(program, "import { contracts } from 'openledger-node/client'\ncontracts(7)\n")
  t.match(compile().stdout, /Argument of type 'number' is not assignable/)
})

t.test('doctor examines, and run refuses what cannot work', async (t) => {
  const examined = installed('doctor', '--json', '--l1-rpc', 'http://127.0.0.1:1')
  t.equal(examined.status, 4)
  t.match(JSON.parse(examined.stdout), [
    { name: 'rollup', state: 'wrong', remedy: /openledger init/ },
  ])
  t.match(installed('run', '--role', 'follower'), { status: 2, stderr: /rollup.json/ })
})

t.test('a follower starts from it and stops cleanly', async (t) => {
  writeFileSync(join(dir, 'rollup.json'), encodeChainConfig(testConfig))
  const flags = ['--rpc-port', '0', '--p2p-port', '0', '--l1-rpc', 'http://127.0.0.1:1']
  const child = spawn(process.execPath, [bin, 'run', ...flags], { cwd: dir })
  child.stderr.resume()
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { url } = JSON.parse(line.toString()) as { url: string }
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  t.equal((await fetch(url)).headers.get('content-type'), 'text/html; charset=utf-8')
  const call = { jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to: testConfig.portal }] }
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(call),
  })
  t.match(await answer.json(), { result: '0x' }, 'its worker threads start as well')
  child.kill('SIGTERM')
  const [status] = await once(child, 'exit')
  t.equal(status, 0)
})
