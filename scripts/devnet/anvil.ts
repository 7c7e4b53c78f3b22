/**
 * The devnet's L1: anvil, a real Ethereum execution engine with blobs, blocks every `blockTime`
 * seconds, started from the npm package and stopped with us.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export type L1 = {
  readonly rpc: string
  readonly beacon: string
  readonly pid: number
  stop(): Promise<void>
}

/** `blockTime` null: a block for each transaction, at once. */
export async function startAnvil(options: {
  port: number
  blockTime: number | null
  gasLimit?: bigint
}): Promise<L1> {
  const child = spawn(
    anvilBinary(),
    [
      ['--port', String(options.port)],
      options.blockTime === null ? [] : ['--block-time', String(options.blockTime)],
      options.gasLimit === undefined ? [] : ['--gas-limit', String(options.gasLimit)],
      ['--slots-in-an-epoch', '2'],
      ['--hardfork', 'osaka'],
      ['--chain-id', '900'],
    ].flat(),
    // A terminal's Ctrl-C goes to us alone: the L1 ends last.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  )
  const port = await listening(child)
  const rpc = `http://127.0.0.1:${port}`
  return { rpc, beacon: rpc, pid: child.pid as number, stop: () => stop(child) }
}

/** Through node's resolution, so that it is found wherever the package is installed. */
function anvilBinary(): string {
  const require = createRequire(import.meta.url)
  return join(
    dirname(require.resolve('@foundry-rs/anvil/package.json')),
    '..',
    '..',
    '.bin',
    'anvil',
  )
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      if (output.length < 64 * 1024) output += chunk
      const port = output.match(/Listening on [\d.]+:(\d+)/)?.[1]
      if (port) resolve(Number(port))
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (output.length < 64 * 1024) output += chunk
    })
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(new Error(`anvil ended with status ${code}: ${output.slice(-500)}`)),
    )
  })
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
