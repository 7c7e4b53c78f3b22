/**
 * The systems that benchmarks compare, each started fresh with a block a second and the same gas limit: our
 * sequencer with its L1 beside it (which signs, runs each block twice, stores durably and posts to L1), geth
 * --dev on disk, anvil in memory. Each has one rich account to begin from.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Account, devnetAccount } from '../../scripts/devnet/accounts.ts'
import { startAnvil } from '../../scripts/devnet/anvil.ts'
import { bridge } from '../../scripts/devnet/economy.ts'
import { startL1, startNodes } from '../../scripts/devnet/stack.ts'
import { createWallet } from '../../scripts/devnet/wallet.ts'
import { gethVersion, HOW_TO_GET_GETH, startGeth } from './geth.ts'
import { BenchClient } from './rpc-client.ts'

export const SYSTEMS = ['sequencer', 'geth', 'anvil'] as const
export type SystemName = (typeof SYSTEMS)[number]

export type System = {
  readonly name: SystemName
  readonly url: string
  /** Bytes on disk; null for what keeps everything in memory. */
  diskBytes(): number | null
  /** Of the node itself. */
  readonly pid: number
  stop(): Promise<void>
}

/** The most our SystemConfig allows: 9,500 transfers a block. */
export const BLOCK_GAS = 200_000_000n
const POOL_MAX = 200_000
const ANY_PORT = { l1: 0, sequencer: 0, validator: 0 }
const RICH_WEI = 10n ** 24n

/** The systems that can be run here; says which cannot and why. */
export function available(names: readonly SystemName[], geth: string): SystemName[] {
  return names.filter((name) => {
    if (name !== 'geth' || gethVersion(geth)) return true
    console.log(HOW_TO_GET_GETH)
    return false
  })
}

export function versions(geth: string): Record<string, string> {
  const require = createRequire(import.meta.url)
  const anvil: string = require('@foundry-rs/anvil/package.json').version
  return { anvil, geth: gethVersion(geth) ?? 'absent' }
}

export function startSystem(name: SystemName, rich: Account, geth: string): Promise<System> {
  if (name === 'sequencer') return startOurs(rich)
  return name === 'geth' ? startTheirGeth(rich, geth) : startTheirAnvil(rich)
}

async function startOurs(rich: Account): Promise<System> {
  const dir = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
  const { l1, config } = await startL1(dir, ANY_PORT, BLOCK_GAS)
  const nodes = await startNodes(dir, l1, ANY_PORT, { poolSlots: POOL_MAX })
  await nodes.validator.stop()
  const { url } = nodes.sequencer
  const { reader } = createWallet(devnetAccount('alice'), { rpc: url, chainId: config.l2ChainId })
  const holder = devnetAccount('deployer')
  const money = { accounts: [rich], openEach: String(RICH_WEI / 10n ** 18n) }
  await bridge({ l1Rpc: l1.rpc, config, holder, ...money }, reader, () => {})
  return {
    name: 'sequencer',
    url,
    diskBytes: () => sizeOf(join(dir, 'sequencer', 'data', 'db')),
    pid: nodes.sequencer.pid,
    stop: async () => {
      await nodes.sequencer.stop()
      await l1.stop()
      rmSync(dir, { recursive: true })
    },
  }
}

async function startTheirGeth(rich: Account, path: string): Promise<System> {
  const geth = await startGeth(path, { gasLimit: BLOCK_GAS, poolMax: POOL_MAX })
  const client = new BenchClient(geth.rpc, 1)
  const [from] = await client.call<string[]>('eth_accounts')
  await client.call('eth_sendTransaction', { from, to: rich.address, value: hex(RICH_WEI) })
  while ((await client.call('eth_getBalance', rich.address, 'latest')) === '0x0') await pause()
  client.close()
  return {
    name: 'geth',
    url: geth.rpc,
    diskBytes: () => sizeOf(geth.dir),
    pid: geth.pid,
    stop: geth.stop,
  }
}

async function startTheirAnvil(rich: Account): Promise<System> {
  const anvil = await startAnvil({ port: 0, blockTime: 1, gasLimit: BLOCK_GAS })
  const client = new BenchClient(anvil.rpc, 1)
  await client.call('anvil_setBalance', rich.address, hex(RICH_WEI))
  client.close()
  return {
    name: 'anvil',
    url: anvil.rpc,
    diskBytes: () => null,
    pid: anvil.pid,
    stop: anvil.stop,
  }
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50))
}

/** Bytes of everything below. */
export function sizeOf(dir: string): number {
  return Number(execFileSync('du', ['-sb', dir], { encoding: 'utf8' }).split('\t')[0])
}

/** Resident memory. */
export function residentBytes(pid: number): number {
  const kib = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB/m)?.[1]
  return Number(kib) * 1024
}

const TICKS_PER_SECOND = 100

/** Processor seconds of all its threads so far: what a busy machine does not change much. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
