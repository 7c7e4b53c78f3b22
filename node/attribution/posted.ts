/** Outputs that L1 has of this chain: the newest games of the factory, whatever became of them. */
import { decodeFunctionResult, encodeFunctionData, parseAbi } from 'viem/utils'
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import type { L1Client } from '../l1/client.ts'
import type { PostedOutput } from './trace-payout.ts'

const FACTORY = parseAbi([
  'function gameCount() view returns (uint256)',
  'struct Found { uint256 index; bytes32 metadata; uint64 timestamp; bytes32 rootClaim; bytes extraData; }',
  'function findLatestGames(uint32 gameType, uint256 start, uint256 n) view returns (Found[])',
])
/** Genesis of the protocol: OutputGame. */
const GAME_TYPE = 100
const GAMES_MAX = 64n

/** Newest first; [] for a chain that does not settle. @throws NodeError when L1 cannot be asked */
export async function postedOutputs(
  { l1Contracts }: Pick<ChainConfig, 'l1Contracts'>,
  l1: Pick<L1Client, 'request'>,
): Promise<PostedOutput[]> {
  const to = l1Contracts.disputeGameFactory
  if (!to) return []
  const call = (data: Hex): Promise<Hex> =>
    l1.request('eth_call', [{ to, data }, 'latest'], (result) => result as Hex)
  const count = await call(encodeFunctionData({ abi: FACTORY, functionName: 'gameCount' }))
  const games = BigInt(count)
  if (games === 0n) return []
  const data = await call(
    encodeFunctionData({
      abi: FACTORY,
      functionName: 'findLatestGames',
      args: [GAME_TYPE, games - 1n, GAMES_MAX],
    }),
  )
  const found = decodeFunctionResult({ abi: FACTORY, functionName: 'findLatestGames', data })
  return found.map(({ index, rootClaim, extraData }) => ({
    game: Number(index),
    outputRoot: rootClaim,
    blockNumber: BigInt(extraData),
  }))
}
