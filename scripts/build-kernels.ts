/**
 * `npm run build:kernels`: native/kernels/*.cu to native/kernels/openledger.ptx, which is committed so that users need no
 * CUDA toolkit. The first line of the PTX names the sources it was made from; `--check` compares that with the
 * sources as they are and, where nvcc is found, compiles them again and compares the bytes.
 *
 *   --check   change nothing, fail when the PTX is stale
 *   --fetch   without nvcc, bring one from PyPI into native/target/nvcc (270 MB, no GPU needed)
 *
 * nvcc is looked for in $NVCC, native/target/nvcc and $PATH. Only its version 13.0 makes the committed bytes.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

const root = join(import.meta.dirname, '..')
const kernels = join(root, 'native/kernels')
const output = join(kernels, 'openledger.ptx')
const fetched = join(root, 'native/target/nvcc')
const RELEASE = '13.0'
const PACKAGES = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-runtime==13.0.96',
]
const OPTIONS = ['--ptx', '--fmad=false', '-arch=compute_80', '-std=c++17']

const check = process.argv.includes('--check')
const nvcc = findNvcc() ?? (process.argv.includes('--fetch') ? fetchNvcc() : undefined)
const stamp = `// made from sources ${sourceHash()}\n`
const committed = existsSync(output) ? readFileSync(output, 'utf8') : ''

if (check && !committed.startsWith(stamp)) {
  fail(
    'native/kernels/openledger.ptx is not made from the kernels as they are; run: npm run build:kernels -- --fetch',
  )
}
if (nvcc === undefined) {
  if (!check) fail(`no nvcc ${RELEASE} was found; add --fetch to bring one from PyPI`)
  console.log(`kernels: the PTX names these sources; no nvcc ${RELEASE} here to compile them again`)
} else {
  const made = stamp + compile(nvcc)
  if (!check) writeFileSync(output, made)
  else if (made !== committed)
    fail('native/kernels/openledger.ptx is not what nvcc makes of the kernels')
  console.log(`kernels: the PTX is what ${nvcc} makes (${made.length} bytes)`)
}

/** keccak-256 over the names and contents of all sources, by name. */
function sourceHash(): string {
  const names = readdirSync(kernels)
    .filter((name) => /\.cuh?$/.test(name))
    .sort()
  const text = names.map((name) => `${name}\n${readFileSync(join(kernels, name), 'utf8')}`).join('')
  return bytesToHex(keccak_256(utf8ToBytes(text)))
}

function compile(nvcc: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'openledger-kernels-'))
  try {
    const file = join(dir, 'all.ptx')
    execFileSync(nvcc, [...OPTIONS, 'all.cu', '-o', file], { cwd: kernels, stdio: 'inherit' })
    // nvcc names what a unit keeps to itself after the path it was compiled at.
    return readFileSync(file, 'utf8').replace(/_INTERNAL_[0-9a-f]{8}_/g, '_INTERNAL_00000000_')
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function findNvcc(): string | undefined {
  const places = [process.env.NVCC, fetchedNvcc(), 'nvcc'].filter((place) => place !== undefined)
  return places.find((place) => {
    const { stdout } = spawnSync(place, ['--version'], { encoding: 'utf8' })
    return stdout?.includes(`release ${RELEASE}`)
  })
}

function fetchedNvcc(): string | undefined {
  if (!existsSync(join(fetched, 'lib'))) return undefined
  const python = readdirSync(join(fetched, 'lib')).find((name) => name.startsWith('python'))
  return python && join(fetched, 'lib', python, 'site-packages/nvidia/cu13/bin/nvcc')
}

function fetchNvcc(): string | undefined {
  execFileSync('python3', ['-m', 'venv', fetched], { stdio: 'inherit' })
  const pip = join(fetched, 'bin/pip')
  execFileSync(pip, ['install', '--quiet', '--no-deps', ...PACKAGES], { stdio: 'inherit' })
  return fetchedNvcc()
}

function fail(message: string): never {
  console.error(`kernels: ${message}`)
  process.exit(1)
}
