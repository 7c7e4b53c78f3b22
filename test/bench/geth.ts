/**
 * go-ethereum as a yardstick: `geth --dev` with a block a second, on a datadir of its own. Found by `--geth` or on
 * PATH; `HOW_TO_GET_GETH` says how to have it. Nothing is downloaded here.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../scripts/devnet/roles.ts'

export const HOW_TO_GET_GETH =
  'geth is not here: GOFLAGS=-mod=mod GOBIN=/tmp/geth-bin go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.3, then --geth /tmp/geth-bin/geth'

export type Geth = {
  readonly rpc: string
  readonly pid: number
  readonly dir: string
  stop(): Promise<void>
}

/** null when it cannot be run. */
export function gethVersion(path: string): string | null {
  try {
    const text = execFileSync(path, ['version'], { encoding: 'utf8' })
    return text.match(/^Version: (\S+)/m)?.[1] ?? 'unknown'
  } catch {
    return null
  }
}

/** With room in pool and block for everything the benchmarks send. */
export async function startGeth(
  path: string,
  options: { gasLimit: bigint; poolMax: number },
): Promise<Geth> {
  const dir = mkdtempSync(join(tmpdir(), 'geth-bench-'))
  const [port, authPort] = [await freePort(0), await freePort(0)]
  const pool = ['accountslots', 'globalslots', 'accountqueue', 'globalqueue']
  const child = spawn(
    path,
    [
      ['--dev', '--dev.period', '1', '--dev.gaslimit', String(options.gasLimit)],
      ['--datadir', dir, '--ipcdisable', '--nodiscover', '--maxpeers', '0', '--port', '0'],
      ['--http', '--http.port', String(port), '--http.api', 'eth,net,web3,txpool'],
      ['--authrpc.port', String(authPort), '--verbosity', '2'],
      pool.flatMap((name) => [`--txpool.${name}`, String(options.poolMax)]),
    ].flat(),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const rpc = `http://127.0.0.1:${port}`
  await ready(child, rpc)
  return {
    rpc,
    pid: child.pid as number,
    dir,
    stop: async () => {
      await stop(child)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function ready(child: ChildProcess, rpc: string): Promise<void> {
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-2_000)
  })
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
  const headers = { 'content-type': 'application/json' }
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) break
    const answer = await fetch(rpc, { method: 'POST', headers, body }).catch(() => null)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  child.kill('SIGKILL')
  throw new Error(`geth did not start: ${errors}`)
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
