/**
 * npm packages to `genesis/preinstalls.generated.ts`: the code of those preinstalls whose licence lets it
 * stand in this tree. Permit2 is compiled from its sources as its authors did; the other two are runtime
 * code that the OP Stack's own list of preinstalls carries. The two packages are large (48 MB) and needed
 * for nothing else, so they are no dependencies: `npm pack` fetches them once into `node_modules/.cache`,
 * and their digests are pinned here. `--check` makes the file again and compares (10 s).
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const TARGET: string = join(root, 'genesis', 'preinstalls.generated.ts')
const CACHE: string = join(root, 'node_modules', '.cache', 'openledger')

type Package = { readonly name: string; readonly version: string; readonly integrity: string }

const PERIPHERY: Package = {
  name: '@uniswap/v4-periphery',
  version: '1.0.3',
  integrity:
    'sha512-JxLL0Djv9XcMvI2PatEnWrCrxuEaYNVhHxstndBOP+aJfh1XLg5ec8SDZ0xyoVfg2ElJTvuKpBgnu90bNValsg==',
}
const BEDROCK: Package = {
  name: '@eth-optimism/contracts-bedrock',
  version: '0.17.3',
  integrity:
    'sha512-cHPO7ntWeOBDLO7ZFFSZGI1D7CDqf4loRbRVJrFIsqLEz+hysWIqA0e3dv2GnrjVeuYePBfI2NTBEG4uwz9bQQ==',
}

/** As in Permit2's foundry.toml, with the compiler's default of then. */
const PERMIT2_SETTINGS = {
  optimizer: { enabled: true, runs: 1_000_000 },
  viaIR: true,
  evmVersion: 'london',
  metadata: { bytecodeHash: 'none' },
  remappings: ['solmate/=lib/solmate/'],
  outputSelection: { '*': { Permit2: ['evm.bytecode.object'] } },
}
const PERMIT2 = 'lib/permit2'
/** What Permit2 imports from elsewhere. */
const SOLMATE = ['tokens/ERC20', 'utils/SafeTransferLib'].map(
  (name) => `lib/solmate/src/${name}.sol`,
)

type SolcOutput = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts?: Record<
    string,
    Record<string, { readonly evm: { readonly bytecode: { readonly object: string } } }>
  >
}

type Solc = { compile(input: string): string }

/** The text of the artefact. @throws Error when a package is not the pinned one or does not compile. */
function preinstallCode(): string {
  const list = readFileSync(
    join(unpacked(BEDROCK, ['src/libraries']), 'src/libraries/Preinstalls.sol'),
    'utf8',
  )
  const from = `runtime code, from npm ${BEDROCK.name} ${BEDROCK.version}, Preinstalls.sol.`
  return [
    `/**
 * Code of well-known contracts under the MIT licence, written by scripts/build-preinstalls.ts from the packages named
 * here; do not edit. \`genesis/preinstalls.ts\` says where each stands and how its bytes are known to be the true ones.
 */`,
    constant(
      'PERMIT2_CREATION_CODE',
      `/**
 * Uniswap Permit2 (MIT): creation code. Sources in npm ${PERIPHERY.name} ${PERIPHERY.version}, lib/permit2/src, compiled by npm
 * solc 0.8.17 (via IR, 1,000,000 runs, evmVersion london, bytecodeHash none): CREATE2 of exactly these bytes gives its address.
 */`,
      permit2Code(join(unpacked(PERIPHERY, [PERMIT2]), PERMIT2)),
    ),
    constant(
      'MULTICALL3_CODE',
      `/** Multicall3 (MIT): ${from} */`,
      literal(list, 'MultiCall3Code'),
    ),
    constant(
      'CREATE2_DEPLOYER_CODE',
      `/** Create2Deployer without an owner, as OP Stack chains have it (MIT): ${from} */`,
      literal(list, 'Create2DeployerCode'),
    ),
  ].join('\n\n')
}

function constant(name: string, doc: string, code: string): string {
  return `${doc}\nexport const ${name} =\n  '0x${code}'${name.startsWith('CREATE2') ? '\n' : ''}`
}

/** `bytes internal constant NAME = hex"…"` of a Solidity file. */
function literal(source: string, name: string): string {
  const [, code] = new RegExp(`constant ${name}\\s*=\\s*hex"([0-9a-fA-F]+)"`).exec(source) ?? []
  if (!code) throw new Error(`Preinstalls.sol has no ${name}`)
  return code.toLowerCase()
}

/**
 * Every source is given by name and none by callback: the compiler numbers what it parses, in order of names,
 * and orders the functions of its output by these numbers.
 */
function permit2Code(folder: string): string {
  const solc = require('solc-v0.8.17') as Solc
  const own = (readdirSync(join(folder, 'src'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.sol'))
    .map((name) => `src/${name}`)
  const sources = Object.fromEntries(
    [...SOLMATE, ...own].map((path) => [
      path,
      { content: readFileSync(join(folder, path), 'utf8') },
    ]),
  )
  const input = { language: 'Solidity', sources, settings: PERMIT2_SETTINGS }
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as SolcOutput
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  const code = output.contracts?.['src/Permit2.sol']?.Permit2?.evm.bytecode.object
  if (!code) throw new Error(errors.map((e) => e.formattedMessage).join('\n') || 'no Permit2')
  return code
}

/** Folder with these paths of the package, which is fetched when it is not here. */
function unpacked({ name, version, integrity }: Package, paths: readonly string[]): string {
  const folder = join(CACHE, `${name.replace('@', '').replace('/', '-')}-${version}`)
  const archive = `${folder}.tgz`
  mkdirSync(folder, { recursive: true })
  if (!existsSync(archive)) {
    const flags = ['--silent', '--ignore-scripts', '--pack-destination', CACHE]
    execFileSync('npm', ['pack', `${name}@${version}`, ...flags], { stdio: 'pipe' })
  }
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (found !== integrity) throw new Error(`${archive} is ${found}, not ${integrity}: remove it`)
  const members = paths.map((path) => `package/${path}`)
  execFileSync('tar', ['-xzf', archive, '-C', folder, '--strip-components=1', ...members])
  return folder
}

if (import.meta.main) {
  const text = preinstallCode()
  const where = relative(root, TARGET)
  if (!process.argv.includes('--check')) {
    writeFileSync(TARGET, text)
    process.stdout.write(`${where}: ${text.length} characters\n`)
  } else if (readFileSync(TARGET, 'utf8') !== text) {
    process.stderr.write(`${where} is not what the packages make: npm run build:preinstalls\n`)
    process.exitCode = 1
  } else {
    process.stdout.write(`${where} is what the packages make\n`)
  }
}
