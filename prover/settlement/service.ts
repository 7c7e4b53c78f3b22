/**
 * Settlement as a service: looks at L1 now and then, and makes at most one call a look for each key.
 *
 *   tick -> calls under way settled
 *        -> each open game: every player's move
 *        -> when all games are looked after: propose the newest verified output, if it is time
 */
import type { Hex } from '../../node/base/bytes.ts'
import type { Log } from '../../node/base/log.ts'
import { Loop, type LoopOptions } from '../../node/base/loop.ts'
import { L1CallError } from '../../node/l1/errors.ts'
import { type Attestation, attestationProof, type Output } from './attestation.ts'
import type { SettlementContracts } from './contracts.ts'
import type { Games, OpenGame } from './games.ts'
import type { L1Calls, L1ContractCall } from './l1-calls.ts'
import { challengerMove, type Judgement, type Move, proposerMove, type View } from './moves.ts'
import type { Outputs } from './outputs.ts'

export type SettlementOptions = LoopOptions & {
  /** Outputs of blocks whose number this divides are proposed. */
  readonly intervalBlocks: bigint
}

export const SERVICE_DEFAULTS = { pollMs: 1_000, retryMs: 1_000, retryMsMax: 60_000 } as const

export type SettlementModules = {
  readonly contracts: SettlementContracts
  readonly games: Games
  readonly outputs: Outputs
  /** Enough signatures, or null. */
  readonly collect: (output: Output) => Promise<Attestation[] | null>
  readonly proposer: L1Calls | null
  /** May be the proposer's. */
  readonly challenger: L1Calls | null
  /** The L1 block up to which the safe head has been derived, and the safe head: for claims beyond it. */
  readonly derived: () => { readonly l1Timestamp: bigint; readonly safe: bigint }
  readonly log: Log
}

export type SettlementStatus = {
  readonly openGames: number
  /** Newest right output on L1 or anchored; 0 when none. */
  readonly proposedBlock: bigint
  readonly anchorBlock: bigint
  /** What an operator must look at, newest last. */
  readonly alarms: readonly string[]
}

type Player = {
  readonly calls: L1Calls
  readonly move: (game: OpenGame, view: View) => Move
}

const ALARMS_MAX = 32

export class SettlementService {
  readonly #options: SettlementOptions
  readonly #modules: SettlementModules
  readonly #players: readonly Player[]
  readonly #loop: Loop
  #status: SettlementStatus = { openGames: 0, proposedBlock: 0n, anchorBlock: 0n, alarms: [] }

  constructor(options: SettlementOptions, modules: SettlementModules) {
    this.#options = options
    this.#modules = modules
    const { proposer, challenger } = modules
    this.#players = [
      ...(proposer ? [{ calls: proposer, move: proposerMove }] : []),
      ...(challenger ? [{ calls: challenger, move: challengerMove }] : []),
    ]
    const turn = async () => {
      await this.tick()
      return false
    }
    this.#loop = new Loop(options, { name: 'settlement', log: modules.log, turn })
  }

  /** Why it has stopped for good, if it has. Attesting goes on: it is asked for, not polled. */
  get fatal(): string | null {
    return this.#loop.fatal?.message ?? null
  }

  get status(): SettlementStatus {
    return this.#status
  }

  start(): void {
    if (this.#players.length > 0) this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One look, and at most one call of each account. */
  async tick(): Promise<void> {
    const { contracts, games, outputs } = this.#modules
    const free = new Set<Hex>()
    for (const calls of new Set(this.#players.map((player) => player.calls))) {
      if (await calls.settle()) free.add(calls.address)
    }
    const isComplete = await games.refresh()
    const now = await contracts.now()
    const anchorBlock = await contracts.anchorBlock()
    let proposedBlock = anchorBlock
    const open = await games.open()
    for (const game of open) {
      const judgement = this.#judge(game)
      const isLost = game.state.status === 'challengerWins'
      if (judgement === 'right' && !isLost && game.l2BlockNumber > proposedBlock) {
        proposedBlock = game.l2BlockNumber
      }
      await this.#look(game, { judgement, now, anchorBlock }, free)
    }
    this.#status = { ...this.#status, openGames: open.length, proposedBlock, anchorBlock }
    const { proposer } = this.#modules
    if (!proposer || !isComplete || !free.has(proposer.address)) return
    // Every proposer and every restart aims at the same blocks.
    const head = outputs.head()
    const target = head - (head % this.#options.intervalBlocks)
    if (target > proposedBlock) await this.#propose(proposer, target)
  }

  /** Each player's move; closed when all are done with it. */
  async #look(
    game: OpenGame,
    known: Pick<View, 'judgement' | 'now' | 'anchorBlock'>,
    free: Set<Hex>,
  ): Promise<void> {
    const { contracts, games } = this.#modules
    const isResolved = game.state.proposal === 'resolved'
    const isClaimValid = isResolved && (await contracts.isClaimValid(game.proxy))
    let open = false
    for (const { calls, move: moveOf } of this.#players) {
      const self = calls.address
      const credit = isResolved ? await contracts.credit(game.proxy, self) : 0n
      const move = moveOf(game, { ...known, self, credit, isClaimValid })
      if (move.kind === 'done') {
        if (move.alarm) this.#alarm(move.alarm, game)
        continue
      }
      open = true
      if (move.kind === 'wait' || !free.has(self)) continue
      const call = await this.#callFor(move.kind, game, self)
      if (!call) continue
      free.delete(self)
      await this.#send(calls, call)
    }
    if (!open) await games.close(game)
  }

  async #callFor(
    kind: Exclude<Move['kind'], 'wait' | 'done'>,
    game: OpenGame,
    self: Hex,
  ): Promise<L1ContractCall | null> {
    const { contracts, collect } = this.#modules
    if (kind === 'challenge') {
      this.#alarm('a wrong output has been proposed', game)
      return contracts.challenge(game)
    }
    if (kind === 'resolve') return contracts.resolve(game)
    if (kind === 'claim') return contracts.claimCredit(game, self)
    if (kind === 'anchor') return contracts.setAnchor(game)
    const attestations = await collect(game)
    return attestations && contracts.prove(game, attestationProof(attestations))
  }

  /** Only what a quorum has signed is proposed, so that it can be proven when somebody challenges it. */
  async #propose(proposer: L1Calls, target: bigint): Promise<void> {
    const { contracts, outputs, collect, log } = this.#modules
    const output = outputs.at(target)
    if (!output || !(await collect(output))) return
    const gameType = await contracts.respectedGameType()
    const { outputRoot, l2BlockNumber } = output
    if (await contracts.isProposed(gameType, outputRoot, l2BlockNumber)) return
    log.info('proposing an output', { l2BlockNumber, outputRoot })
    await this.#send(proposer, await contracts.propose(gameType, outputRoot, l2BlockNumber))
  }

  /** A call that would revert is somebody having been faster; the next look sees it. */
  async #send(calls: L1Calls, call: L1ContractCall): Promise<void> {
    try {
      await calls.send(call)
    } catch (error) {
      if (!(error instanceof L1CallError)) throw error
      this.#modules.log.warn('l1 call not sent', { call: call.label, error: error.message })
    }
  }

  /** A claim is also wrong when L1, read beyond its creation, gives no such block. */
  #judge(game: OpenGame): Judgement {
    const { outputs, derived } = this.#modules
    const ours = outputs.at(game.l2BlockNumber)
    if (ours) return ours.outputRoot === game.outputRoot ? 'right' : 'wrong'
    const { l1Timestamp, safe } = derived()
    return l1Timestamp > game.createdAt && game.l2BlockNumber > safe ? 'wrong' : 'unknown'
  }

  #alarm(what: string, { index, l2BlockNumber, outputRoot }: OpenGame): void {
    const alarm = `${what}: game ${index}, block ${l2BlockNumber}, root ${outputRoot}`
    if (this.#status.alarms.includes(alarm)) return
    this.#modules.log.error(what, { game: index, l2BlockNumber, outputRoot })
    const alarms = [...this.#status.alarms, alarm].slice(-ALARMS_MAX)
    this.#status = { ...this.#status, alarms }
  }
}
