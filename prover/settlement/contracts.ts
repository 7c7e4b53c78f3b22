/**
 * The settlement contracts as this node reads them, at the newest L1 block, through the node's own L1
 * client (so with its endpoints and its patience), and the calls it makes on them.
 */
import { createPublicClient, custom, encodeFunctionData, type PublicClient } from 'viem'
import type { ChainConfig } from '../../genesis/chain.ts'
import {
  AnchorStateRegistry,
  AttestationVerifier,
  DisputeGameFactory,
  OutputGame,
} from '../../genesis/contracts.generated.ts'
import { bigintToBytes, type Hex, toHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { L1Client } from '../../node/l1/client.ts'
import { quantityOf } from '../../node/l1/json.ts'
import type { AttestationDomain } from './attestation.ts'
import type { L1ContractCall } from './l1-calls.ts'

/** What never changes about a game. */
export type Game = {
  readonly index: bigint
  readonly proxy: Hex
  readonly creator: Hex
  readonly outputRoot: Hex
  readonly l2BlockNumber: bigint
  /** Seconds, L1 time. */
  readonly createdAt: bigint
}

export type GameState = {
  readonly status: 'inProgress' | 'challengerWins' | 'defenderWins'
  readonly proposal: 'unchallenged' | 'challenged' | 'proven' | 'resolved'
  /** Seconds, L1 time: the last moment of the step that is open. */
  readonly deadline: bigint
  readonly resolvedAt: bigint
  readonly challenger: Hex
}

const STATUS = ['inProgress', 'challengerWins', 'defenderWins'] as const
const PROPOSAL = ['unchallenged', 'challenged', 'proven', 'proven', 'resolved'] as const
/** AttestationVerifier.Standing. */
const BONDED = 2

export class SettlementContracts {
  readonly domain: AttestationDomain
  readonly factory: Hex
  readonly registry: Hex
  readonly #client: PublicClient
  readonly #l1: L1Client
  #threshold: number | null = null

  /** @throws NodeError `options` when the chain configuration names no settlement contracts. */
  constructor(config: ChainConfig, l1: L1Client) {
    const named = (name: string): Hex => {
      const address = config.l1Contracts[name]
      if (address) return address
      const message = `the chain configuration names no l1Contracts.${name}: this chain cannot settle`
      throw userError('options', message)
    }
    this.factory = named('disputeGameFactory')
    this.registry = named('anchorStateRegistry')
    const verifier = named('attestationVerifier')
    this.domain = { l1ChainId: config.l1ChainId, l2ChainId: config.l2ChainId, verifier }
    this.#l1 = l1
    const request = ({ method, params }: { method: string; params?: unknown }): Promise<unknown> =>
      l1.request(method, (params ?? []) as unknown[], (result) => result)
    this.#client = createPublicClient({
      transport: custom({ request }, { retryCount: 0 }),
      cacheTime: 0,
    })
  }

  /** Timestamp of the newest L1 block, seconds. */
  async now(): Promise<bigint> {
    return (await this.#client.getBlock({ blockTag: 'latest' })).timestamp
  }

  async gameCount(): Promise<bigint> {
    return this.#client.readContract({ ...this.#factory, functionName: 'gameCount' })
  }

  async proxyAt(index: bigint): Promise<{ gameType: number; proxy: Hex; createdAt: bigint }> {
    const call = { ...this.#factory, functionName: 'gameAtIndex', args: [index] } as const
    const [gameType, createdAt, proxy] = await this.#client.readContract(call)
    return { gameType, proxy: proxy.toLowerCase() as Hex, createdAt }
  }

  async game(index: bigint): Promise<Game> {
    const { proxy, createdAt } = await this.proxyAt(index)
    const game = gameAt(proxy)
    const [creator, outputRoot, l2BlockNumber] = await Promise.all([
      this.#client.readContract({ ...game, functionName: 'gameCreator' }),
      this.#client.readContract({ ...game, functionName: 'rootClaim' }),
      this.#client.readContract({ ...game, functionName: 'l2SequenceNumber' }),
    ])
    const creatorHex = creator.toLowerCase() as Hex
    return { index, proxy, creator: creatorHex, outputRoot, l2BlockNumber, createdAt }
  }

  async state(proxy: Hex): Promise<GameState> {
    const [status, proposal, deadline, resolvedAt, challenger] = await this.#client.readContract({
      ...gameAt(proxy),
      functionName: 'state',
    })
    return {
      status: STATUS[status] as GameState['status'],
      proposal: PROPOSAL[proposal] as GameState['proposal'],
      deadline,
      resolvedAt,
      challenger: challenger.toLowerCase() as Hex,
    }
  }

  async credit(proxy: Hex, account: Hex): Promise<bigint> {
    const call = { ...gameAt(proxy), functionName: 'credit', args: [account] } as const
    return this.#client.readContract(call)
  }

  async respectedGameType(): Promise<number> {
    return this.#client.readContract({ ...this.#registry, functionName: 'respectedGameType' })
  }

  /** The L2 block new games must be above. */
  async anchorBlock(): Promise<bigint> {
    const call = { ...this.#registry, functionName: 'getAnchorRoot' } as const
    return (await this.#client.readContract(call))[1]
  }

  async isClaimValid(proxy: Hex): Promise<boolean> {
    const call = { ...this.#registry, functionName: 'isGameClaimValid', args: [proxy] } as const
    return this.#client.readContract(call)
  }

  /** Has this very output been proposed? */
  async isProposed(gameType: number, outputRoot: Hex, l2BlockNumber: bigint): Promise<boolean> {
    const args = [gameType, outputRoot, extraDataOf(l2BlockNumber)] as const
    const [proxy] = await this.#client.readContract({
      ...this.#factory,
      functionName: 'games',
      args,
    })
    return BigInt(proxy) !== 0n
  }

  /** Signatures that make a proof. */
  async threshold(): Promise<number> {
    this.#threshold ??= Number(
      await this.#client.readContract({ ...this.#verifier, functionName: 'threshold' }),
    )
    return this.#threshold
  }

  async isBonded(validator: Hex): Promise<boolean> {
    const call = { ...this.#verifier, functionName: 'validators', args: [validator] } as const
    const [standing] = await this.#client.readContract(call)
    return standing === BONDED
  }

  // --- calls ---

  /** The call that proposes an output, with the bond it takes now. */
  async propose(gameType: number, outputRoot: Hex, l2BlockNumber: bigint): Promise<L1ContractCall> {
    const bond = { ...this.#factory, functionName: 'initBonds', args: [gameType] } as const
    const value = await this.#client.readContract(bond)
    const data = encodeFunctionData({
      abi: DisputeGameFactory.abi,
      functionName: 'create',
      args: [gameType, outputRoot, extraDataOf(l2BlockNumber)],
    })
    return { to: this.factory, data, value, label: `propose block ${l2BlockNumber}` }
  }

  async challenge({ proxy, index }: Game): Promise<L1ContractCall> {
    const bond = { ...gameAt(proxy), functionName: 'challengerBond' } as const
    const value = await this.#client.readContract(bond)
    const data = encodeFunctionData({ abi: OutputGame.abi, functionName: 'challenge' })
    return { to: proxy, data, value, label: `challenge game ${index}` }
  }

  prove({ proxy, index }: Game, proof: Uint8Array): L1ContractCall {
    const args = [toHex(proof)] as const
    const data = encodeFunctionData({ abi: OutputGame.abi, functionName: 'prove', args })
    return { to: proxy, data, value: 0n, label: `prove game ${index}` }
  }

  resolve({ proxy, index }: Game): L1ContractCall {
    const data = encodeFunctionData({ abi: OutputGame.abi, functionName: 'resolve' })
    return { to: proxy, data, value: 0n, label: `resolve game ${index}` }
  }

  claimCredit({ proxy, index }: Game, recipient: Hex): L1ContractCall {
    const args = [recipient] as const
    const data = encodeFunctionData({ abi: OutputGame.abi, functionName: 'claimCredit', args })
    return { to: proxy, data, value: 0n, label: `claim the bond of game ${index}` }
  }

  setAnchor({ proxy, index }: Game): L1ContractCall {
    const call = { functionName: 'setAnchorState', args: [proxy] } as const
    const data = encodeFunctionData({ abi: AnchorStateRegistry.abi, ...call })
    return { to: this.registry, data, value: 0n, label: `anchor game ${index}` }
  }

  async estimateGas({ to, data, value }: L1ContractCall, from: Hex): Promise<bigint> {
    const call = { from, to, data, value: `0x${value.toString(16)}` }
    return this.#l1.request('eth_estimateGas', [call], (result) => quantityOf(result, 'gas'))
  }

  get #factory() {
    return { address: this.factory, abi: DisputeGameFactory.abi } as const
  }

  get #registry() {
    return { address: this.registry, abi: AnchorStateRegistry.abi } as const
  }

  get #verifier() {
    return { address: this.domain.verifier, abi: AttestationVerifier.abi } as const
  }
}

function gameAt(proxy: Hex) {
  return { address: proxy, abi: OutputGame.abi } as const
}

function extraDataOf(l2BlockNumber: bigint): Hex {
  return toHex(bigintToBytes(l2BlockNumber, 32))
}
