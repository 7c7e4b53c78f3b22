/**
 * Where derivation stood after each L1 block, on disk: the way back after a restart or an L1 reorg.
 * Kept from the finalized L1 block on (at most `CHECKPOINTS_MAX`), so that going back never needs
 * more L1 than a channel timeout.
 */
import { bigintToBytes, utf8 } from '../base/bytes.ts'
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
      yield decode(value)
    }
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

function encode({ safe, l1 }: Checkpoint): Uint8Array {
  const numbers = [
    safe.number,
    safe.timestamp,
    safe.l1Origin.number,
    safe.sequenceNumber,
    l1.number,
  ]
  return utf8(JSON.stringify([safe.hash, safe.l1Origin.hash, l1.hash, ...numbers.map(String)]))
}

function decode(bytes: Uint8Array): Checkpoint {
  const [hash, originHash, l1Hash, ...rest] = JSON.parse(new TextDecoder().decode(bytes))
  const [number, timestamp, origin, sequenceNumber, l1] = rest.map(BigInt)
  return {
    safe: {
      hash,
      number,
      timestamp,
      sequenceNumber,
      l1Origin: { hash: originHash, number: origin },
    },
    l1: { hash: l1Hash, number: l1 },
  }
}
