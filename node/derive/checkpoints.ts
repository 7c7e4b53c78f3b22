/**
 * Where derivation stood after each L1 block, on disk: the way back after a restart or an L1 reorg.
 * Kept from the finalized L1 block on (at most `CHECKPOINTS_MAX`), so that going back never needs
 * more L1 than a channel timeout. A row without a SystemConfig (an older node's) does not count: without
 * any, derivation starts at genesis and finds its blocks already there.
 */
import { bigintToBytes, utf8 } from '../base/bytes.ts'
import type { BlockRef } from '../chain/types.ts'
import type { KvTable } from '../store/kv.ts'
import type { Checkpoint } from './derive.ts'

/** Far above the L1 blocks between `latest` and `finalized` (about 64 to 96). */
const CHECKPOINTS_MAX = 4096

type Table = Pick<KvTable, 'put' | 'iterate' | 'batch'>

export class Checkpoints {
  readonly #table: Table

  constructor(table: Table) {
    this.#table = table
  }

  async put(checkpoint: Checkpoint): Promise<void> {
    await this.#table.put(keyOf(checkpoint.l1.number), encode(checkpoint))
  }

  /** Newest first, from L1 block `upTo` down. */
  async *descending(upTo?: bigint): AsyncGenerator<Checkpoint> {
    const to = upTo === undefined ? {} : { to: keyOf(upTo + 1n) }
    for await (const [, value] of this.#table.iterate({ ...to, reverse: true })) {
      const checkpoint = decode(value)
      if (checkpoint) yield checkpoint
    }
  }

  /** As far as it is remembered. */
  async safeHeadAt(l1Number: bigint): Promise<{ l1Block: BlockRef; safeHead: BlockRef } | null> {
    for await (const { l1, safe } of this.descending(l1Number)) {
      return { l1Block: l1, safeHead: safe }
    }
    return null
  }

  /** Forgets the branch above L1 block `number`. */
  async dropAbove(number: bigint): Promise<void> {
    await this.#drop({ from: keyOf(number + 1n) })
  }

  /** Forgets what lies before L1 block `number`, and what is more than can be kept. */
  async dropBelow(number: bigint, newest: bigint): Promise<void> {
    const oldest = newest - BigInt(CHECKPOINTS_MAX)
    await this.#drop({ to: keyOf(oldest > number ? oldest : number) })
  }

  async #drop(range: { from?: Uint8Array; to?: Uint8Array }): Promise<void> {
    const ops: { type: 'del'; key: Uint8Array }[] = []
    for await (const [key] of this.#table.iterate(range)) ops.push({ type: 'del', key })
    if (ops.length > 0) await this.#table.batch(ops)
  }
}

function keyOf(number: bigint): Uint8Array {
  return bigintToBytes(number, 8)
}

/** JSON with bigints as `{"n": "..."}`. */
function encode(checkpoint: Checkpoint): Uint8Array {
  const text = JSON.stringify(checkpoint, (_, value) =>
    typeof value === 'bigint' ? { n: value.toString() } : value,
  )
  return utf8(text)
}

/** Null: written before checkpoints held the SystemConfig. */
function decode(bytes: Uint8Array): Checkpoint | null {
  const value = JSON.parse(new TextDecoder().decode(bytes), (_, item) =>
    typeof item?.n === 'string' ? BigInt(item.n) : item,
  )
  return value.systems === undefined ? null : value
}
