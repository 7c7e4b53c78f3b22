/**
 * An operator's life with real processes: a sequencer whose keys are in a keystore and behind a remote
 * signer, a follower from `init` to sync, stops, crashes, snapshots, a full disk; and nowhere a secret.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import { fromHex } from '../../node/base/bytes.ts'
import { encryptKey } from '../../node/keys/keystore.ts'
import { rpcTo } from '../../scripts/cli/rpc.ts'
import { devnetAccount } from '../../scripts/devnet/accounts.ts'
import { freePort, type Role, restartRole, startRole } from '../../scripts/devnet/roles.ts'
import { startL1, writeNetwork } from '../../scripts/devnet/stack.ts'
import { workDir } from '../support/dir.ts'
import { startSigner } from '../support/signer.ts'

const PASSWORD = 'correct horse battery staple'
const POLLS_MAX = 300
const POLL_MS = 100

const dir = workDir(t)
const path = (...names: string[]): string => join(dir, ...names)
const { l1, config } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
const signer = await startSigner(devnetAccount('sequencer').privateKey)
const roles = new Map<string, Role>()
t.teardown(async () => {
  for (const role of roles.values()) await role.stop()
  await signer.stop()
  await l1.stop()
})

async function openledger(...args: string[]) {
  const script = join(import.meta.dirname, '../../scripts/openledger.mjs')
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = [child.stdout, child.stderr].map(async (stream) => {
    let text = ''
    for await (const chunk of stream) text += chunk
    return text
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { status, stdout: (await out) as string, stderr: (await err) as string }
}

type Heads = { readonly unsafe: number; readonly safe: number }
type Status = { heads: Heads; ready: { ok: boolean }; peers: number }

/** Waits until a node is ready and its heads are as awaited; then what `openledger status` says. */
async function statusWhen(url: string, is: (heads: Heads) => boolean): Promise<Status> {
  const rpc = rpcTo(url)
  for (let polls = 0; polls < POLLS_MAX; polls++) {
    const sync =
      await rpc<Record<'unsafe_l2' | 'safe_l2', { number: number }>>('optimism_syncStatus')
    const heads = { unsafe: sync.unsafe_l2.number, safe: sync.safe_l2.number }
    if (is(heads) && (await fetch(`${url}/readyz`)).ok) break
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  const { stdout, stderr } = await openledger('status', '--json', '--url', url)
  if (!stdout) throw new Error(stderr)
  return JSON.parse(stdout) as Status
}

const logOf = (name: string): Record<string, unknown>[] =>
  readFileSync(path(name, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

t.test('a sequencer starts with a keystore and a remote signer', async (t) => {
  const batcher = encryptKey(fromHex(devnetAccount('batcher').privateKey), PASSWORD, {
    n: 1024,
    r: 8,
    p: 1,
  })
  mkdirSync(path('keys'))
  writeFileSync(path('keys', 'batcher.json'), JSON.stringify(batcher), { mode: 0o600 })
  writeFileSync(path('keys', 'password'), `${PASSWORD}\n`, { mode: 0o600 })
  const sequencer = await startRole('sequencer', dir, {
    rollup: path('rollup.json'),
    l1Rpc: [l1.rpc],
    l1StrictRoots: false,
    rpcPort: await freePort(0),
    p2pPort: await freePort(0),
    metricsPort: 0,
    batchIntervalMs: 1_000,
    sequencerSigner: signer.url,
    batcherKeystore: path('keys', 'batcher.json'),
    passwordFile: path('keys', 'password'),
    providerKey: devnetAccount('provider').privateKey,
    logLevel: 'debug',
  })
  roles.set('sequencer', sequencer)
  writeNetwork(dir, l1, { sequencer })
  t.equal((await fetch(`${sequencer.metrics}/healthz`)).status, 200)
})

t.test('a new operator goes from init to a follower in sync', async (t) => {
  const ports = ['--rpc-port', String(await freePort(0)), '--p2p-port', String(await freePort(0))]
  const made = await openledger('init', '--data-dir', path('follower'), '--network', dir, ...ports)
  t.match(made, { status: 0, stdout: /next: openledger doctor/ })
  const health = await openledger('doctor', '--data-dir', path('follower'), '--json')
  t.equal(health.status, 0, health.stdout)
  const options = JSON.parse(readFileSync(path('follower', 'config.json'), 'utf8'))
  writeFileSync(
    path('follower', 'config.json'),
    JSON.stringify({ ...options, logFile: path('follower', 'log.jsonl') }),
  )
  const follower = await restartRole('follower', dir)
  roles.set('follower', follower)
  const status = await statusWhen(follower.url, ({ safe }) => safe > 2)
  t.ok(status.ready.ok, JSON.stringify(status.ready))
  t.ok(status.heads.unsafe >= status.heads.safe && status.peers === 1)
})

t.test('a follower hands transactions on, and the refusal comes back', async (t) => {
  const { url } = roles.get('follower') as Role
  const poor = privateKeyToAccount(`0x${'77'.repeat(32)}`)
  const raw = await poor.signTransaction({
    chainId: config.l2ChainId,
    to: poor.address,
    nonce: 0,
    gas: 21_000n,
    maxFeePerGas: 10n ** 10n,
    maxPriorityFeePerGas: 1n,
  })
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'eth_sendRawTransaction',
      params: [raw],
    }),
  })
  t.match(await response.json(), {
    error: { message: /the sequencer refuses: insufficient funds/ },
  })
  const metrics = await (await fetch(`${roles.get('sequencer')?.metrics}/metrics`)).text()
  const counted = 'duration_seconds_count{method="eth_sendRawTransaction",outcome="error"} 1'
  t.ok(metrics.includes(counted), 'it was the sequencer that refused')
})

t.test('a data directory in use is refused', async (t) => {
  const second = await openledger('run', '--data-dir', path('follower'))
  t.match(second, { status: 3, stderr: /is in use by process \d+ \(follower/ })
})

t.test('SIGTERM ends a follower cleanly', async (t) => {
  await roles.get('follower')?.stop()
  t.equal(existsSync(path('follower', 'openledger.lock')), false, 'the mark of a clean shutdown')
  const last = logOf('follower').at(-1)
  t.match(last, { msg: 'stopped', status: 0 })
  t.comment(`stopped in ${last?.ms} ms`)
})

t.test('its database verifies, and a snapshot of it starts another follower', async (t) => {
  const verified = await openledger('db', 'verify', '--data-dir', path('follower'), '--json')
  t.equal(verified.status, 0, verified.stdout)
  const { head } = JSON.parse(verified.stdout) as { head: number }
  const from = ['--data-dir', path('follower')]
  t.match(await openledger('snapshot', 'create', path('snapshot'), ...from), { status: 0 })
  const into = ['--data-dir', path('second')]
  t.match(await openledger('snapshot', 'restore', path('snapshot'), ...into), { status: 0 })
  const again = await openledger('snapshot', 'restore', path('snapshot'), ...into)
  t.match(again, { status: 3, stderr: /is there already/ })
  const stats = await openledger('db', 'stats', ...into, '--json')
  const blocks = (JSON.parse(stats.stdout) as { table: string; rows: number }[]).find(
    ({ table }) => table === 'canonical',
  )
  t.equal(blocks?.rows, head + 1)
  const options = JSON.parse(readFileSync(path('follower', 'config.json'), 'utf8'))
  const second = await startRole('follower', path('more'), {
    ...options,
    dataDir: path('second'),
    logFile: path('more', 'log.jsonl'),
  })
  roles.set('second', second)
  t.match(await statusWhen(second.url, ({ unsafe }) => unsafe > head), { ready: { ok: true } })
  await second.stop()
})

t.test('after kill -9 the next start says so and goes on', async (t) => {
  await roles.get('sequencer')?.kill()
  t.ok(existsSync(path('sequencer', 'data', 'openledger.lock')))
  const sequencer = await restartRole('sequencer', dir)
  roles.set('sequencer', sequencer)
  t.ok(logOf('sequencer').some(({ msg }) => /did not shut down cleanly/.test(String(msg))))
  t.match(await statusWhen(sequencer.url, () => true), { ready: { ok: true } })
})

t.test('too little room on the disk ends a node with a status of its own', async (t) => {
  const full = await openledger(
    'run',
    '--data-dir',
    path('follower'),
    '--disk-free-min-mib',
    '999999999',
  )
  t.match(full, { status: 5, stderr: /is full .*free some space and start again/ })
  t.equal(existsSync(path('follower', 'openledger.lock')), false, 'in good order')
})

t.test('a sequencer stops cleanly even when L1 is gone', async (t) => {
  await l1.stop()
  await roles.get('sequencer')?.stop()
  const last = logOf('sequencer').at(-1)
  t.match(last, { msg: 'stopped', status: 0 })
  t.comment(`stopped in ${last?.ms} ms`)
  t.equal(existsSync(path('sequencer', 'data', 'openledger.lock')), false)
})

t.test('no log holds a secret, at debug and with every key in use', async (t) => {
  const logs = ['sequencer', 'follower', 'more'].map((name) => path(name, 'log.jsonl'))
  const text = logs.map((file) => readFileSync(file, 'utf8')).join('')
  const keys = (['sequencer', 'batcher', 'provider'] as const).map((name) =>
    devnetAccount(name).privateKey.slice(2),
  )
  for (const secret of [...keys, PASSWORD]) t.notOk(text.includes(secret))
  t.ok(readdirSync(path('follower')).includes('config.json'))
})
