import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { userError } from '../../node/base/errors.ts'
import { nearest } from '../../node/base/nearest.ts'
import { VERSION } from '../../node/base/version.ts'
import { flagOf, isSecret, OPTION_NAMES, variableOf } from '../../node/options.ts'
import { diskFullError, storeError } from '../../node/store/errors.ts'
import { asksForFamily, flagsOf, helpOf, readCall, readLine } from '../../scripts/cli/command.ts'
import { EXIT, exitOf } from '../../scripts/cli/exit.ts'
import { withReference } from '../../scripts/cli/reference.ts'
import { completionOf } from '../../scripts/commands/completion.ts'
import { allCommands, commandsFor, overview } from '../../scripts/commands/index.ts'
import { workDir } from '../support/dir.ts'

const root = join(import.meta.dirname, '../..')
const COMMANDS = await allCommands()

function openledger(args: readonly string[], env: Record<string, string> = {}) {
  const script = join(root, 'scripts/openledger.mjs')
  const options = { encoding: 'utf8' as const, env: { ...process.env, ...env } }
  return spawnSync(process.execPath, [script, ...args], options)
}

t.test('the reference in the README is what the tables say', async (t) => {
  const readme = readFileSync(join(root, 'scripts/README.md'), 'utf8')
  t.equal(withReference(readme, COMMANDS), readme, 'npm run build:reference')
  for (const name of OPTION_NAMES) t.match(readme, variableOf(name))
})

t.test('every command has help with its flags, and is in the overview', async (t) => {
  for (const command of COMMANDS) {
    const help = helpOf(command)
    t.match(help, `usage: openledger ${command.name}`)
    for (const name of Object.keys(command.flags ?? {})) t.match(help, `--${name}`)
    t.match(overview(COMMANDS), command.summary)
  }
  const run = COMMANDS.find(({ name }) => name === 'run')
  const help = helpOf(run as (typeof COMMANDS)[number])
  for (const name of OPTION_NAMES) {
    t.match(help, isSecret(name) ? variableOf(name) : `--${flagOf(name)}`)
    if (isSecret(name)) t.notMatch(help, new RegExp(`--${flagOf(name)} `))
  }
})

t.test('a line loads the commands of its first word alone', async (t) => {
  const words = new Set(COMMANDS.map(({ name }) => name.split(' ')[0] as string))
  for (const word of words) {
    const named = COMMANDS.filter(({ name }) => name.split(' ')[0] === word)
    t.same(await commandsFor(word), named, word)
  }
  for (const word of ['rnu', 'constructor']) t.same(await commandsFor(word), COMMANDS, word)
})

t.test('a typing error is answered with what was meant', async (t) => {
  const rows: [string[], RegExp][] = [
    [['rnu'], /did you mean 'openledger run'\?/],
    [['snapshot', 'creat'], /did you mean 'openledger snapshot create'\?/],
    [['db'], /unknown command 'db': known: stats, verify/],
    [['zzzzzzzz'], /known: init, deploy, run, /],
  ]
  for (const [line, words] of rows) t.throws(() => readLine(line, COMMANDS), words)
  const { command, rest } = readLine(['run', '--rpc-prot', '1'], COMMANDS)
  t.throws(() => readCall(command, rest, {}), /unknown flag --rpc-prot: did you mean --rpc-port\?/)
  const { command: verify } = readLine(['snapshot', 'verify'], COMMANDS)
  t.throws(() => readCall(verify, [], {}), /an argument is missing; usage: .*verify <dir>/)
  t.throws(() => readCall(verify, ['a', 'b'], {}), /unexpected argument 'b'/)
  t.equal(nearest('verfiy', ['stats', 'verify']), 'verify')
  t.equal(nearest('abc', ['stats', 'verify']), undefined)
})

t.test('help on the first of two words lists what may follow', async (t) => {
  for (const word of ['bench', 'model', 'snapshot']) {
    const family = await commandsFor(word)
    t.ok(asksForFamily([word, '--help'], family), word)
    t.notOk(asksForFamily([word, 'x', '--help'], family), 'that is a command of it')
  }
  t.notOk(asksForFamily(['run', '--help'], await commandsFor('run')))
  const { stdout, status } = openledger(['model', '--help'])
  t.match(stdout, /model fetch +Brings a base model/)
  t.equal(status, EXIT.ok)
})

t.test('other spellings that operators know are taken', async (t) => {
  const { command, rest } = readLine(['run', '--datadir', '/d', '--http-port=7'], COMMANDS)
  const { options, origins } = readCall(command, rest, { OPENLEDGER_P2P_PORT: '8' }).configure()
  t.match(options, { dataDir: '/d', rpcPort: 7, p2pPort: 8 })
  t.match(origins, {
    rpcPort: { kind: 'flag', name: '--http-port' },
    p2pPort: { kind: 'environment', name: 'OPENLEDGER_P2P_PORT' },
    role: { kind: 'default' },
  })
})

t.test('config.json of the data directory is read, and print says so', async (t) => {
  const dir = t.testdir({ 'config.json': '{"rpcPort": 1234, "role": "validator"}' })
  const env = { OPENLEDGER_BATCHER_KEY: `0x${'ab'.repeat(32)}` }
  const { stdout } = openledger(['config', 'print', '--origin', '--json', '--data-dir', dir], env)
  const printed = JSON.parse(stdout) as Record<string, { value: unknown; origin: string }>
  t.match(printed.rpcPort, { value: 1234, origin: `file ${join(dir, 'config.json')}` })
  t.match(printed.dataDir, { value: dir, origin: 'flag --data-dir' })
  t.match(printed.batcherKey, { value: '(a secret)', origin: 'environment OPENLEDGER_BATCHER_KEY' })
  t.notMatch(stdout, /abab/, 'and no secret is shown')
  writeFileSync(join(dir, 'config.json'), '{"rcpPort": 1}')
  const { stderr, status } = openledger(['config', 'print', '--data-dir', dir])
  t.match(stderr, /unknown option 'rcpPort': did you mean 'rpcPort'\?/)
  t.equal(status, EXIT.usage)
})

t.test('completion knows every command and flag, and the shell takes it', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const stdout = completionOf(shell, COMMANDS)
    for (const command of COMMANDS) {
      t.match(stdout, command.name)
      const missing = [...flagsOf(command).keys()].filter((flag) => !stdout.includes(flag))
      t.same(missing, [])
    }
    if (shell === 'bash') {
      const script = `${stdout}
        COMP_WORDS=(openledger snapshot cr); COMP_CWORD=2; _openledger; echo "\${COMPREPLY[*]}"
        COMP_WORDS=(openledger run --metrics-p); COMP_CWORD=2; _openledger; echo "\${COMPREPLY[*]}"`
      const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
      t.equal(ran.stdout, 'create\n--metrics-port\n')
    }
  }
  t.throws(() => completionOf('tcsh', COMMANDS), /choose bash, zsh, fish/)
})

t.test('errors have the status that the help promises', async (t) => {
  t.equal(exitOf(userError('options', '')), EXIT.usage)
  t.equal(exitOf(storeError('store-locked', '')), EXIT.data)
  t.equal(exitOf(diskFullError('/data', '')), EXIT.diskFull)
  t.equal(exitOf(new Error()), EXIT.failure)
  t.equal(exitOf(Object.assign(new Error(), { code: 'NATIVE_BAD_MODEL' })), EXIT.usage)
  t.equal(exitOf(Object.assign(new Error(), { code: 'NATIVE_OUT_OF_MEMORY' })), EXIT.failure)
  const { status, stderr } = openledger(['run', '--rollup', '/nowhere.json'])
  t.match(stderr, /^openledger: cannot use the chain configuration \/nowhere.json/)
  t.equal(status, EXIT.usage)
})

t.test('a file that the engine refuses is one line with its path and code, no stack', async (t) => {
  const base = t.testdir({ 'config.json': '{"model_type": "bert"}', 'in.jsonl': '' })
  const line = ['--prompts', join(base, 'in.jsonl'), '--max-new', '1', '--out']
  const run = (out: string, from: string): { status: number | null; stderr: string } =>
    openledger(['generate', '--base', from, ...line, join(base, out)])
  const bad = run('out.jsonl', base)
  t.equal(
    bad.stderr,
    `openledger: ${base}: config.json: model_type is bert; only llama is supported [NATIVE_UNSUPPORTED]\n`,
  )
  t.equal(bad.status, EXIT.usage)
  const good = join(import.meta.dirname, '../../native/models/base')
  const lost = run('none/out.jsonl', good)
  t.match(lost.stderr, /^openledger: ENOENT: .*none.out\.jsonl\.partial' \[ENOENT\]\n$/)
  t.equal(lost.status, EXIT.failure)
})

t.test('the version is that of package.json', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(VERSION, version)
  const said = JSON.parse(openledger(['version', '--json']).stdout)
  t.match(said, {
    openledger: version,
    schema: Number,
    node: process.versions.node,
    engine: /simd=/,
  })
})

t.test('keys are made, listed, imported and exported, and nothing is overwritten', async (t) => {
  const dir = workDir(t)
  const env = { OPENLEDGER_PASSWORD: 'correct horse', OPENLEDGER_DATA_DIR: dir }
  const hex = `0x${'4b'.repeat(32)}`
  writeFileSync(join(dir, 'hex'), hex, { mode: 0o600 })
  const imported = JSON.parse(
    openledger(['account', 'import', join(dir, 'hex'), '--json'], env).stdout,
  )
  const again = openledger(['account', 'import', join(dir, 'hex')], env)
  t.match(again.stderr, /is in .* already/)
  t.match(openledger(['account', 'list'], env).stdout, `${imported.address} ${imported.path}`)
  t.match(openledger(['account', 'export', imported.address], env).stderr, /--yes-show-the-key/)
  const shown = openledger(['account', 'export', imported.address, '--yes-show-the-key'], env)
  t.equal(shown.stdout, `${hex}\n`)
  const without = openledger(['account', 'new', '--data-dir', dir])
  t.match(without.stderr, /no password for the new key was given/)
  t.equal(without.status, EXIT.usage)
})

/** They run until they are stopped, speak a protocol on stdout, or print what is itself for a program. */
const WITHOUT_JSON = ['run', 'devnet', 'worker', 'mcp', 'completion', 'help']

t.test('every command that finds something says it as JSON too', async (t) => {
  const commands = await allCommands()
  t.same(
    commands.filter(({ flags }) => !flags?.json).map(({ name }) => name),
    WITHOUT_JSON,
  )
})

t.test('errors explains a code, and names the nearest to one that is none', async (t) => {
  const page = openledger(['errors', 'pool-full'])
  t.match(page, { status: 0, stdout: /^# pool-full\n/ })
  t.match(JSON.parse(openledger(['errors', 'exit-3', '--json']).stdout), {
    code: 'exit-3',
    what: /data directory/,
  })
  t.match(openledger(['errors', 'pool-ful']), {
    status: 2,
    stderr: /no error has the code 'pool-ful'; did you mean 'pool-full'\? \[usage\]/,
  })
})
