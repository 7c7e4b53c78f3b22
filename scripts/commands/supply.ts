/** `openledger supply`: what all OPEN is doing, after a block, and each vesting wallet on L1. */
import { existsSync } from 'node:fs'
import { type Abi, createPublicClient, formatEther, http } from 'viem'
import { OpenToken, Vesting } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'
import { readChainConfig } from '../cli/files.ts'
import { NODE_FLAGS, nodeOf } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { type Part, vestingWallets } from '../vesting.ts'

type Supply = { readonly block: { readonly number: number; readonly hash: Hex } } & Readonly<
  Record<'total' | 'circulating' | 'locked' | 'vested' | 'staked' | 'bridged', string>
>

/** As of L1's newest block; wei. */
type Wallet = {
  readonly part: Part
  readonly wallet: Hex
  readonly beneficiary: Hex
  readonly allocated: bigint
  readonly vested: bigint
  readonly released: bigint
}

const TIMEOUT_MS = 10_000

export const supply: Command = {
  name: 'supply',
  summary:
    'Shows how much OPEN circulates, is locked, vested, staked and bridged, and the vesting wallets on L1',
  flags: {
    ...NODE_FLAGS,
    block: { value: 'N', help: 'after this L2 block', fallback: 'latest' },
  },
  options: ['node', 'L1'],
  notes: `The wallets are those that rollup.json names (--rollup, or --data-dir of a node), read from --l1-rpc; without a
rollup.json only the L2's report is shown.`,
  run: async (call) => {
    const { rpc } = nodeOf(call)
    const found = await rpc<Supply>('openledger_supply', blockOf(call.flags.block as string))
    const { rollup, l1Rpc } = call.configure().options
    const wallets = existsSync(rollup) ? await readWallets(rollup, l1Rpc[0] as string) : []
    show(call, { ...found, wallets }, linesOf(found, wallets))
    return undefined
  },
}

function blockOf(text: string): string {
  if (/^\d{1,15}$/.test(text)) return `0x${Number(text).toString(16)}`
  if (['latest', 'safe', 'finalized', 'earliest'].includes(text)) return text
  throw userError('usage', `--block is '${text}'; a number, latest, safe or finalized`)
}

async function readWallets(rollup: string, l1Rpc: string): Promise<Wallet[]> {
  const { l1Contracts } = readChainConfig(rollup)
  const { token } = l1Contracts
  const wallets = vestingWallets(l1Contracts)
  if (!token || wallets.length === 0) return []
  const client = createPublicClient({ transport: http(l1Rpc, { timeout: TIMEOUT_MS }) })
  const { timestamp, number: blockNumber } = await client.getBlock()
  const read = async <T>(
    address: Hex,
    abi: unknown,
    functionName: string,
    args: readonly unknown[],
  ) =>
    (await client.readContract({ address, abi: abi as Abi, functionName, args, blockNumber })) as T
  return Promise.all(
    wallets.map(async ({ part, wallet }) => {
      const [beneficiary, released, vested, held] = await Promise.all([
        read<Hex>(wallet, Vesting.abi, 'owner', []),
        read<bigint>(wallet, Vesting.abi, 'released', [token]),
        read<bigint>(wallet, Vesting.abi, 'vestedAmount', [token, timestamp]),
        read<bigint>(token, OpenToken.abi, 'balanceOf', [wallet]),
      ])
      return { part, wallet, beneficiary, allocated: held + released, vested, released }
    }),
  )
}

function linesOf({ block, ...amounts }: Supply, wallets: readonly Wallet[]): string[] {
  const names = ['total', 'circulating', 'locked', 'vested', 'staked', 'bridged'] as const
  const locked = wallets.reduce((sum, { allocated, vested }) => sum + allocated - vested, 0n)
  return [
    `after L2 block ${block.number}`,
    ...names.map(
      (name) => `  ${name.padEnd(12)} ${formatEther(BigInt(amounts[name])).padStart(30)} OPEN`,
    ),
    ...(wallets.length > 0
      ? [`on L1, ${wallets.length} wallets lock ${formatEther(locked)} OPEN`]
      : []),
    ...wallets.map(
      ({ part, wallet, beneficiary, allocated, vested, released }) =>
        `  ${part.padEnd(10)} ${wallet} of ${beneficiary}: ${formatEther(vested)} of ${formatEther(allocated)} vested, ${formatEther(released)} paid out`,
    ),
  ]
}
