/**
 * Follows the list of games on L1 and keeps those that still concern somebody. The list is L1 state, so it
 * may shrink in a reorg: the bookmark remembers which game stood at each index and walks back to the last
 * one that still does.
 */
import { bigintToBytes, bytesToBigint, fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import type { KvTable } from '../../node/store/kv.ts'
import type { Game, GameState, SettlementContracts } from './contracts.ts'

export type OpenGame = Game & { readonly state: GameState }

/** Games taken up in one look, so that a node that was away long does not stall on it. */
const NEW_GAMES_MAX = 64n

export class Games {
  readonly #contracts: SettlementContracts
  /** index u64 -> proxy 20: every game seen. */
  readonly #seen: KvTable
  /** index u64 -> nothing: games not done with. */
  readonly #open: KvTable
  readonly #known = new Map<bigint, Game>()

  constructor(contracts: SettlementContracts, tables: { seen: KvTable; open: KvTable }) {
    this.#contracts = contracts
    this.#seen = tables.seen
    this.#open = tables.open
  }

  /** Takes up new games. True when the end of the list has been reached. */
  async refresh(): Promise<boolean> {
    const count = await this.#contracts.gameCount()
    let next = await this.#next()
    while (next > 0n && !(await this.#stillThere(next - 1n, count))) {
      next -= 1n
      const key = keyOf(next)
      await this.#seen.delete(key)
      await this.#open.delete(key)
      this.#known.delete(next)
    }
    const end = count < next + NEW_GAMES_MAX ? count : next + NEW_GAMES_MAX
    for (let index = next; index < end; index++) {
      const { proxy } = await this.#contracts.proxyAt(index)
      await this.#open.put(keyOf(index), new Uint8Array(0))
      await this.#seen.put(keyOf(index), fromHex(proxy))
    }
    return end === count
  }

  /** Games not closed yet, oldest first, as they stand now. */
  async open(): Promise<OpenGame[]> {
    const games: OpenGame[] = []
    for await (const [key] of this.#open.iterate()) {
      const index = bytesToBigint(key)
      const game = this.#known.get(index) ?? (await this.#contracts.game(index))
      this.#known.set(index, game)
      games.push({ ...game, state: await this.#contracts.state(game.proxy) })
    }
    return games
  }

  /** Nothing more is to be done about this game. */
  async close(game: Game): Promise<void> {
    await this.#open.delete(keyOf(game.index))
    this.#known.delete(game.index)
  }

  async #next(): Promise<bigint> {
    for await (const [key] of this.#seen.iterate({ reverse: true, limit: 1 })) {
      return bytesToBigint(key) + 1n
    }
    return 0n
  }

  async #stillThere(index: bigint, count: bigint): Promise<boolean> {
    if (index >= count) return false
    const seen = await this.#seen.get(keyOf(index))
    const proxy: Hex | null = seen ? toHex(seen) : null
    return proxy === (await this.#contracts.proxyAt(index)).proxy
  }
}

function keyOf(index: bigint): Uint8Array {
  return bigintToBytes(index, 8)
}
