/** openledger_supply: the OPEN there is, by what it is doing, after a block. */
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { OpenSupply, Staking } from '../../../genesis/contracts.generated.ts'
import { userError } from '../../base/errors.ts'
import type { BridgedIndex } from '../../chain/bridged.ts'
import type { Chain } from '../../chain/chain.ts'
import { type Contract, readContract } from '../../model/contracts.ts'
import { mustFindBlock } from '../blocks.ts'
import { COST, method, type RpcMethods } from '../method.ts'
import { block, LATEST, optional } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { plain } from './plain.ts'

const SUPPLY: Contract = { address: OPENLEDGER.openSupply, abi: OpenSupply.abi as Abi }
const STAKING: Contract = { address: OPENLEDGER.staking, abi: Staking.abi as Abi }
/** What vests, of `SUPPLY`. */
const ALLOCATIONS = ['COMMUNITY', 'INVESTORS', 'TEAM'] as const

export type SupplyServices = { readonly chain: Chain; readonly bridged: BridgedIndex }

export function supplyMethods({ chain, bridged }: SupplyServices): RpcMethods {
  return {
    openledger_supply: method({
      summary:
        'wei of OPEN after a block: all there is, not yet vested (locked), vested, staked (or unbonding), on the L2 (bridged). Circulating = total - locked',
      params: [optional('block', block, LATEST)],
      result: shapes.openSupply,
      cost: COST.run,
      aside: false,
      handler: async (context, [id]) => {
        const { header, hash } = mustFindBlock(context.chain, id)
        const { number, timestamp } = header
        if (chain.blockByNumber(number)?.hash !== hash)
          throw userError('not-canonical', `block ${hash} is not of the canonical chain`)
        const read = (contract: Contract, name: string, args: readonly unknown[] = []) =>
          readContract<bigint>(chain, contract, name, args, hash)
        const [total, start, locked, bonded, unbonding, onL2, ...allocations] = await Promise.all([
          read(SUPPLY, 'SUPPLY'),
          read(SUPPLY, 'vestingStart'),
          read(SUPPLY, 'lockedAt', [timestamp]),
          read(STAKING, 'totalBonded'),
          read(STAKING, 'totalUnbonding'),
          bridged.at(number),
          ...ALLOCATIONS.map((name) => read(SUPPLY, name)),
        ])
        const vesting = start === 0n ? 0n : allocations.reduce((sum, part) => sum + part, 0n)
        return plain({
          block: { number: Number(number), hash },
          total,
          circulating: total - locked,
          locked,
          vested: vesting - locked,
          staked: bonded + unbonding,
          bridged: onL2,
        })
      },
    }),
  }
}
