/**
 * What `npm start` and `npm test` begin with: dependencies, the native addon, the web app, and nothing
 * when nothing changed. Plain JavaScript for any Node >= 20, because it runs before anything of ours is
 * installed. Each step leaves a stamp: the hash of what it was made from.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamps = join(root, 'node_modules', '.openledger')

if (process.argv.includes('--help')) {
  console.log(
    'usage: npm run setup\n\nInstalls dependencies, builds the native addon and the web app if they changed.',
  )
  process.exit(0)
}

requireTool('cargo', ['--version'], 'a Rust toolchain (https://rustup.rs)')
step('dependencies', 'npm packages', hashOf(['package-lock.json', '.npmrc']), installPackages)
step(
  'native',
  'native addon (Rust, release)',
  hashOf([
    'native/Cargo.toml',
    'native/Cargo.lock',
    ...sources('native/core'),
    ...sources('native/crypto'),
    ...sources('native/bind'),
    ...sources('native/kernels'),
  ]),
  buildNative,
  existsSync(join(root, 'native/build')),
)
step(
  'web',
  'web app',
  hashOf(['package-lock.json', 'node/web/vite.config.ts', ...withImports(filesOf('node/web/app'))]),
  () => run('npm', ['run', '--silent', 'build:web']),
  existsSync(join(root, 'node/web/dist/index.html')),
)

function installPackages() {
  // Not `npm ci`: it refuses a lockfile that lacks other platforms' optional packages, and not every
  // registry mirror has those. Versions are the lockfile's all the same.
  run('npm', [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
  // Only one package's own install step is wanted: the Node that runs TypeScript as it is.
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (
    major < 22 ||
    (major === 22 && minor < 18) ||
    !existsSync(join(root, 'node_modules/node/bin/node'))
  ) {
    run(process.execPath, ['installArchSpecificPackage'], join(root, 'node_modules/node'))
    // Links node_modules/.bin/node, which had nothing to point to before.
    run('npm', ['rebuild', 'node', '--ignore-scripts', '--loglevel=error'])
  }
  // tap generates its test class from the plugins that package.json names.
  run(join(root, 'node_modules/node/bin/node'), [
    join(root, 'node_modules/tap/dist/esm/run.mjs'),
    'build',
  ])
}

function buildNative() {
  run('npm', ['run', '--silent', 'build:native'])
}

/** Runs `work` unless its stamp says that it was done for exactly this input. */
function step(name, title, hash, work, present = true) {
  const stamp = join(stamps, name)
  if (present && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  const started = Date.now()
  console.log(`setup: ${title} ...`)
  work()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, hash)
  console.log(`setup: ${title} done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (status === 0) return
  console.error(`setup: '${command} ${args.join(' ')}' failed${error ? `: ${error.message}` : ''}`)
  process.exit(status || 1)
}

function requireTool(command, args, what) {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
  } catch {
    console.error(`setup: '${command}' was not found. Install ${what} and run this again.`)
    process.exit(1)
  }
}

function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files.filter((name) => existsSync(join(root, name)))) {
    hash.update(`${file}\0`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}

/** Rust and CUDA sources and manifests below a folder. */
function sources(folder) {
  return filesOf(folder).filter(
    (name) => /\.(rs|toml|cuh?|ptx)$/.test(name) && !name.includes('target'),
  )
}

/** Every file below a folder, in a fixed order. */
function filesOf(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

/** These, and whatever they import at run time, near or far: the app has files of other rooms in it. */
function withImports(files) {
  const found = new Set(files)
  const imports =
    /^(?:import|export) (?!type )[\w\s{},*]*?from '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm
  for (const file of found) {
    if (!/\.tsx?$/.test(file) || !existsSync(join(root, file))) continue
    for (const [, still, later] of readFileSync(join(root, file), 'utf8').matchAll(imports)) {
      found.add(join(dirname(file), still ?? later))
    }
  }
  return [...found]
}
