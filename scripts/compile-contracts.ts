/**
 * Solidity to `genesis/contracts.generated.ts`: `{abi, bytecode | deployedBytecode} as const` for each
 * contract, so that types flow to whoever calls it. L1 contracts are deployed and need their creation
 * code; L2 predeploys stand in the genesis alloc by their runtime code, but for those with immutables or
 * constructor arguments: these are constructed in block 0 and need creation code as well. The compiler is the npm package, its output does not depend on the machine, the
 * artefact is committed, and `--check` compiles again and compares (half a minute). The artefact also
 * names the digest of what it was made from, so a test sees at once that it is stale.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const TARGET: string = join(root, 'genesis', 'contracts.generated.ts')

type Layer = { readonly folder: string; readonly evmVersion: string; readonly predeploys: boolean }

const LAYERS: readonly Layer[] = [
  { folder: 'l1', evmVersion: 'prague', predeploys: false },
  { folder: 'l2', evmVersion: 'prague', predeploys: true },
]

const SETTINGS = {
  optimizer: { enabled: true, runs: 1_000 },
  viaIR: true,
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: {
    '*': {
      '*': [
        'abi',
        'evm.bytecode.object',
        'evm.deployedBytecode.object',
        'evm.deployedBytecode.immutableReferences',
      ],
    },
  },
}

type Artefact = {
  readonly abi: readonly { readonly type: string; readonly inputs?: readonly unknown[] }[]
  readonly evm: {
    readonly bytecode: { readonly object: string }
    readonly deployedBytecode: {
      readonly object: string
      readonly immutableReferences?: Record<string, unknown>
    }
  }
}

type SolcOutput = {
  readonly errors?: readonly {
    readonly severity: string
    readonly formattedMessage: string
    readonly sourceLocation?: { readonly file: string }
  }[]
  readonly contracts?: Record<string, Record<string, Artefact>>
}

type Solc = { compile(input: string, callbacks: { import: (path: string) => unknown }): string }

/** The text of the artefact; warnings go to `warn`. @throws Error with the compiler's own messages. */
export function compileContracts(warn: (message: string) => void = () => {}): string {
  const solc = require('solc') as Solc
  const parts = LAYERS.flatMap((layer) => compileLayer(solc, layer, warn))
  return [
    '/** Written by scripts/compile-contracts.ts from genesis/contracts; do not edit. */',
    `// sources ${sourcesDigest()}`,
    ...parts,
    '',
  ].join('\n')
}

/** sha256 over the compiler's version, its settings and every source, our own and OpenZeppelin's version. */
export function sourcesDigest(): string {
  const hash = createHash('sha256')
  for (const name of ['solc', '@openzeppelin/contracts']) {
    hash.update(`${name} ${(require(`${name}/package.json`) as { version: string }).version}\n`)
  }
  for (const layer of LAYERS) {
    hash.update(JSON.stringify([layer, SETTINGS]))
    for (const [path, { content }] of Object.entries(sourcesOf(layer))) {
      hash.update(`${path} ${content.length}\n${content}`)
    }
  }
  return hash.digest('hex')
}

function compileLayer(solc: Solc, layer: Layer, warn: (message: string) => void): string[] {
  const sources = sourcesOf(layer)
  const output = JSON.parse(
    solc.compile(
      JSON.stringify({
        language: 'Solidity',
        sources,
        settings: { ...SETTINGS, evmVersion: layer.evmVersion },
      }),
      { import: readImport },
    ),
  ) as SolcOutput
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map((e) => e.formattedMessage).join('\n'))
  for (const { formattedMessage, sourceLocation } of output.errors ?? []) {
    if (!sourceLocation?.file.startsWith('@')) warn(formattedMessage)
  }
  return Object.keys(sources).flatMap((path) => {
    const name = path.replace(/^.*\/|\.sol$/g, '')
    const artefact = output.contracts?.[path]?.[name]
    return artefact && isCallable(artefact) ? [declaration(name, artefact, layer)] : []
  })
}

/** Path to text, in order of names. */
function sourcesOf({ folder }: Layer): Record<string, { content: string }> {
  const at = join(root, 'genesis', 'contracts', folder)
  const names = readdirSync(at, { recursive: true }) as string[]
  return Object.fromEntries(
    names
      .filter((name) => name.endsWith('.sol'))
      .sort()
      .map((name) => [`${folder}/${name}`, { content: readFileSync(join(at, name), 'utf8') }]),
  )
}

/** Not a library, an interface or an abstract contract. */
function isCallable({ abi, evm }: Artefact): boolean {
  return evm.bytecode.object !== '' && abi.some(({ type }) => type === 'function')
}

/** Imports come from packages, `@openzeppelin/contracts/...`. */
function readImport(path: string): { contents: string } | { error: string } {
  try {
    const [scope, name, ...rest] = path.split('/')
    const folder = dirname(require.resolve(`${scope}/${name}/package.json`))
    return { contents: readFileSync(join(folder, ...rest), 'utf8') }
  } catch {
    return { error: `no such import: ${path}` }
  }
}

function declaration(name: string, artefact: Artefact, layer: Layer): string {
  const { bytecode, deployedBytecode } = artefact.evm
  const constructed =
    !layer.predeploys ||
    Object.keys(deployedBytecode.immutableReferences ?? {}).length > 0 ||
    artefact.abi.some(({ type, inputs }) => type === 'constructor' && (inputs ?? []).length > 0)
  const code = constructed
    ? `bytecode: '0x${bytecode.object}'`
    : `deployedBytecode: '0x${deployedBytecode.object}'`
  return `\nexport const ${name} = {\n  abi: ${JSON.stringify(artefact.abi.map(slim))},\n  ${code},\n} as const`
}

/** ABI without `internalType`, which nobody here reads and which is half of its size. */
function slim(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(slim)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'internalType')
      .map(([key, inner]) => [key, slim(inner)]),
  )
}

if (import.meta.main) {
  const text = compileContracts((message) => process.stderr.write(`${message}\n`))
  const where = relative(root, TARGET)
  if (!process.argv.includes('--check')) {
    writeFileSync(TARGET, text)
    process.stdout.write(`${where}: ${text.length} characters\n`)
  } else if (readFileSync(TARGET, 'utf8') !== text) {
    process.stderr.write(`${where} is not what the compiler makes: npm run build:contracts\n`)
    process.exitCode = 1
  } else {
    process.stdout.write(`${where} is what the compiler makes\n`)
  }
}
