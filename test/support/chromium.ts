/**
 * A browser for tests: the machine's own Chromium, or Debian's packages of it unpacked into a cache, without root: apt says which
 * packages this machine lacks, brings them, and dpkg unpacks them beside each other.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const UNPACKED = 'usr/lib/chromium/chromium'
const APT_MS_MAX = 5 * 60_000

type Installed = { readonly path: string; readonly libraries?: string }

/** @throws Error saying why there is none, and what to do */
export async function launchChromium(): Promise<Browser> {
  const { path, libraries } = onPath() ?? (await fetched())
  const { LD_LIBRARY_PATH, ...rest } = process.env as Record<string, string>
  const found = [libraries, LD_LIBRARY_PATH].filter(Boolean).join(delimiter)
  return chromium.launch({
    executablePath: path,
    // Its own sandbox needs rights that a container or root does not give; the pages are ours.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    env: { ...rest, ...(found && { LD_LIBRARY_PATH: found }) },
  })
}

function onPath(): Installed | null {
  const given = process.env.OPENLEDGER_CHROMIUM
  if (given === 'fetch') return null
  if (given) return { path: given }
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))
  const path = paths.find(existsSync)
  return path === undefined ? null : { path }
}

/** From the cache, or brought into it. */
async function fetched(): Promise<Installed> {
  const root = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const cache = join(root, 'openledger')
  const home = join(cache, 'chromium')
  if (!existsSync(join(home, UNPACKED))) {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, '.chromium-'))
    try {
      await unpackPackages(work)
      await rename(join(work, 'root'), home).catch((error: unknown) => {
        // Another test was faster.
        if (!existsSync(join(home, UNPACKED))) throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  return { path: join(home, UNPACKED), libraries: libraryFolders(home).join(delimiter) }
}

async function unpackPackages(work: string): Promise<void> {
  const [lists, archives] = [join(work, 'lists'), join(work, 'archives')]
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  const apt = (...args: string[]): Promise<string> =>
    run(
      'apt-get',
      [
        ...['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${work}`],
        ...['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=', '-qq'],
        ...args,
      ],
      archives,
    )
  await apt('update')
  // What is installed here is not in the answer, so it must be usable as it is; Chromium itself always is.
  const wanted = [
    '--no-install-recommends',
    '--reinstall',
    'install',
    'chromium',
    'chromium-common',
  ]
  const uris = await apt('--print-uris', '-y', ...wanted)
  const packages = [...uris.matchAll(/^'[^']+' (\S+?)_(\S+?)_\S+\.deb /gm)].map(
    ([, name, version]) => `${name}=${decodeURIComponent(version as string)}`,
  )
  await apt('download', ...packages)
  for (const name of readdirSync(archives).filter((file) => file.endsWith('.deb'))) {
    await run('dpkg', ['-x', join(archives, name), join(work, 'root')], work)
  }
}

function libraryFolders(home: string): string[] {
  const lib = join(home, 'usr/lib')
  const folders = readdirSync(lib, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /-linux-gnu/.test(entry.name))
    .map(({ name }) => join(lib, name))
  return folders
}

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      cwd,
      timeout: APT_MS_MAX,
      maxBuffer: 16 * 2 ** 20,
    })
    return stdout
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    const why = code === 'ENOENT' ? `there is no ${command}` : stderr?.trim().split('\n').at(-1)
    throw new Error(
      `no Chromium here, and ${command} cannot bring it (${why}): install chromium, or name one in OPENLEDGER_CHROMIUM`,
    )
  }
}
