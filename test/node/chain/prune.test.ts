/**
 * Old states are forgotten, and no other: chains of random writes whose values come back, by contracts that look alike, with
 * reorganisations, returns to branches that were left, and ends of the process between two writes.
 */
import fc from 'fast-check'
import t from 'tap'
import { bigintToBytes, concatBytes, type Hex, toHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { auditState } from '../../../node/chain/audit.ts'
import type { Chain } from '../../../node/chain/chain.ts'
import { type GenesisAlloc, genesisState } from '../../../node/chain/genesis.ts'
import { refOf } from '../../../node/chain/heads.ts'
import { PRUNE_DEFAULTS, Pruner } from '../../../node/chain/prune.ts'
import { staleNodes } from '../../../node/chain/stale.ts'
import type { StateWrites } from '../../../node/chain/state.ts'
import type { BlockRef } from '../../../node/chain/types.ts'
import { inventory } from '../../../node/store/inventory.ts'
import type { Store } from '../../../node/store/store.ts'
import { alice, extend, openTestChain, signedTx, testAlloc } from '../../support/chain.ts'

const WINDOW = 3n
/** sstore(calldata 0, calldata 32) */
const CODE: Hex = '0x6020356000355500'
const CONTRACTS: readonly Hex[] = [1, 2, 3].map((n): Hex => `0x${`c${n}`.repeat(20)}`)
const word = (n: number): Uint8Array => bigintToBytes(BigInt(n), 32)

const storage = Object.fromEntries(
  Array.from({ length: 12 }, (_, i) => [toHex(word(i)), toHex(word(1))]),
)
const alloc: GenesisAlloc = {
  ...testAlloc,
  ...Object.fromEntries(CONTRACTS.map((address) => [address, { code: CODE, storage, nonce: 1n }])),
}

type Write = { readonly contract: number; readonly slot: number; readonly value: number }
type Step =
  | { readonly kind: 'block'; readonly writes: readonly Write[] }
  | { readonly kind: 'fork'; readonly depth: number; readonly writes: readonly Write[] }
  | { readonly kind: 'return'; readonly branch: number }
  | { readonly kind: 'finalize'; readonly depth: number }
  | { readonly kind: 'prune'; readonly writesBeforeEnd: number }

const write: fc.Arbitrary<Write> = fc.record({
  contract: fc.nat(CONTRACTS.length - 1),
  slot: fc.nat(15),
  value: fc.nat(2),
})
const writes = fc.array(write, { maxLength: 4 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('block' as const), writes }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('fork' as const), depth: fc.nat(5), writes }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('return' as const), branch: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('finalize' as const), depth: fc.nat(2) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('prune' as const), writesBeforeEnd: fc.nat(6) }),
  },
)

t.test(
  'every state from the oldest kept on is whole, whatever happened to the chain',
  { timeout: 120_000 },
  async (t) => {
    let kept = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (steps) => {
        const { chain, store, close } = await openTestChain(t.testdir(), alloc)
        const life = new Life(chain, store)
        for (const one of steps) await life.take(one)
        await life.take({ kind: 'finalize', depth: 0 })
        await life.take({ kind: 'prune', writesBeforeEnd: Number.POSITIVE_INFINITY })
        const { reachable } = await life.check()
        const rows = await nodeRows(store)
        // What a branch that was left has alone stays; without one, nothing does.
        if (rows < reachable || (!life.hasForked && rows !== reachable))
          throw new Error(`${rows} trie nodes are stored, ${reachable} are of kept states`)
        kept += Number(chain.keptStates.from)
        await close()
      }),
      { numRuns: Number(process.env.RUNS ?? 6), endOnFailure: true },
    )
    t.ok(kept > 6, `${kept} states were forgotten`)
  },
)

t.test('an old state is refused with the block from which on there are states', async (t) => {
  const { chain, store, close } = await openTestChain(t.testdir(), alloc)
  for (let i = 0; i < 9; i++) await extend(chain)
  const pruner = prunerOf(chain, store)
  await pruner.step()
  t.same(chain.keptStates, { from: 0n, swept: 0n }, 'nothing is final yet')
  await finalize(chain, chain.headRef('unsafe'))
  let needed = 2n
  pruner.needs(() => needed)
  await pruner.step()
  t.same(chain.keptStates, { from: 2n, swept: 2n }, 'somebody needs the state of block 2')
  needed = 9n
  await pruner.step()
  t.same(chain.keptStates, { from: 6n, swept: 6n })
  const refusal = { code: 'state-pruned', severity: 'user', message: /from block 6 on/ }
  t.throws(() => chain.stateAt(5n), refusal)
  await t.rejects(chain.reexecute(chain.blockByNumber(6n) as never), refusal)
  t.equal((await chain.reexecute(chain.blockByNumber(7n) as never)).kind, 'ok')
  t.equal(chain.stateAt(6n).account(alice.address)?.balance, testAlloc[alice.address]?.balance)
  await close()
})

t.test(
  'an account that is gone leaves its storage behind, and one that moves does not',
  async (t) => {
    const nodes = new Map<string, Uint8Array>()
    const state = async (
      accounts: readonly Hex[],
      slots: object = storage,
    ): Promise<StateWrites> => {
      const entries = accounts.map((address) => [address, { nonce: 1n, storage: slots }])
      const writes = await genesisState(Object.fromEntries(entries) as GenesisAlloc)
      for (const { hash, rlp, owner } of writes.nodes) nodes.set(nameOf(hash, owner), rlp)
      return writes
    }
    const read = (hash: Uint8Array, owner: Uint8Array | undefined) => nodes.get(nameOf(hash, owner))
    const addresses = Array.from({ length: 40 }, (_, i): Hex => toHex(word(i).subarray(12)))
    const changes: [readonly Hex[], readonly Hex[], object?][] = [
      [addresses, addresses.slice(0, 1)],
      [addresses.slice(0, 1), addresses],
      [addresses.slice(0, 20), addresses.slice(10)],
      [addresses.slice(0, 3), addresses.slice(0, 3), { [toHex(word(99))]: '0x07' }],
      [addresses, []],
    ]
    for (const [before, after, slots] of changes) {
      const [old, now] = [await state(before), await state(after, slots)]
      const stale = staleNodes(read, { old: old.stateRoot, now: now.stateRoot })
      const found = [...stale].map(({ hash, owner }) => nameOf(hash, owner))
      const left = new Set(now.nodes.map(({ hash, owner }) => nameOf(hash, owner)))
      const wanted = old.nodes.map(({ hash, owner }) => nameOf(hash, owner))
      t.same(found.sort(), wanted.filter((name) => !left.has(name)).sort())
    }
  },
)

/** A chain to which things happen, and its pruner, which may end at any write. */
class Life {
  readonly #chain: Chain
  readonly #store: Store
  readonly #tips: BlockRef[] = []
  #salt = 0
  hasForked = false

  constructor(chain: Chain, store: Store) {
    this.#chain = chain
    this.#store = store
  }

  async take(step: Step): Promise<void> {
    const chain = this.#chain
    const head = chain.headRef('unsafe')
    const above = Number(head.number - chain.headRef('finalized').number)
    switch (step.kind) {
      case 'block':
        return this.#grow(step.writes)
      case 'fork': {
        if (above === 0) return
        this.#tips.push(head)
        this.hasForked = true
        const back = head.number - BigInt(1 + (step.depth % above))
        await chain.resetUnsafe(refOf(chain.blockByNumber(back) as never))
        return this.#grow(step.writes)
      }
      case 'return': {
        const tip = this.#tips[step.branch]
        // One that forks off below the finalized block is gone for good.
        if (tip && this.#canReturn(tip)) await chain.resetUnsafe(tip)
        return
      }
      case 'finalize': {
        const number = head.number - BigInt(step.depth % (above + 1))
        return finalize(chain, refOf(chain.blockByNumber(number) as never))
      }
      case 'prune':
        await this.#prune(step.writesBeforeEnd)
        await this.check()
    }
  }

  /** Every kept state, node by node from the disk; how many nodes they have together. */
  async check(): Promise<{ reachable: number }> {
    const chain = this.#chain
    const seen = new Set<string>()
    const reader = {
      node: (hash: Uint8Array, owner?: Uint8Array) => {
        seen.add(nameOf(hash, owner))
        return this.#store.storedNode(hash, owner)
      },
      code: (hash: Uint8Array) => this.#store.code(hash),
    }
    for (
      let { from: number } = chain.keptStates;
      number <= chain.headRef('unsafe').number;
      number++
    ) {
      const root = toHex(chain.stateRootAt(number))
      const { problems } = await auditState(reader, root)
      if (problems.length) throw new Error(`state ${number}: ${problems.join('; ')}`)
    }
    for (const tip of this.#tips.filter((one) => this.#canReturn(one))) {
      const { problems } = await auditState(
        reader,
        chain.blockByHash(tip.hash)?.header.stateRoot as Hex,
      )
      if (problems.length) throw new Error(`branch ${tip.number}: ${problems.join('; ')}`)
    }
    return { reachable: seen.size }
  }

  async #grow(writes: readonly Write[]): Promise<void> {
    const chain = this.#chain
    const first = chain.stateAt('unsafe').account(alice.address)?.nonce ?? 0n
    const transactions = writes.map(({ contract, slot, value }, i) =>
      signedTx(alice, {
        nonce: first + BigInt(i),
        to: CONTRACTS[contract] as Hex,
        value: 0n,
        data: concatBytes(word(slot), word(value)),
        gasLimit: 60_000n,
        maxFeePerGas: 10n ** 12n,
      }),
    )
    await extend(chain, transactions, { prevRandao: toHex(word(++this.#salt)) })
  }

  /** In small bites; the process ends when it has written so often, and another goes on later. */
  async #prune(writesBeforeEnd: number): Promise<void> {
    let left = writesBeforeEnd
    const chain = this.#chain
    const mortal = {
      on: () => () => {},
      get heads() {
        return chain.heads
      },
      get keptStates() {
        return chain.keptStates
      },
      stateRootAt: (number: bigint) => chain.stateRootAt(number),
      forgetStates: async (what: Parameters<Chain['forgetStates']>[0]) => {
        if (left-- <= 0) throw new Error('the process ended')
        return chain.forgetStates(what)
      },
    }
    const options = {
      windowBlocks: WINDOW,
      blocksPerHead: 100,
      nodesPerHead: 10_000,
      nodesAtOnce: 25,
    }
    const pruner = new Pruner(options, { chain: mortal, store: this.#store, log: silentLog })
    await pruner.step().catch((error) => {
      if (error.message !== 'the process ended') throw error
    })
  }

  #canReturn(tip: BlockRef): boolean {
    const { finalized } = this.#chain.heads
    let at: BlockRef = tip
    while (at.number > finalized.number) {
      const parentHash = this.#chain.blockByHash(at.hash)?.header.parentHash as Hex
      at = { hash: parentHash, number: at.number - 1n }
    }
    return at.hash === finalized.hash
  }
}

function prunerOf(chain: Chain, store: Store): Pruner {
  return new Pruner({ ...PRUNE_DEFAULTS, windowBlocks: WINDOW }, { chain, store, log: silentLog })
}

async function finalize(chain: Chain, ref: BlockRef): Promise<void> {
  await chain.markSafe(ref, chain.config.genesis.l1)
  await chain.markFinalized(ref)
}

async function nodeRows(store: Store): Promise<number> {
  const tables = await inventory(store.database)
  return tables
    .filter(({ table }) => table === 'accountNode' || table === 'storageNode')
    .reduce((sum, { rows }) => sum + rows, 0)
}

function nameOf(hash: Uint8Array, owner: Uint8Array | undefined): string {
  return `${owner ? toHex(owner) : ''}${toHex(hash)}`
}
