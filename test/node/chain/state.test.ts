/** The world state against a plain model, and its undo log. */
import { Address } from '@ethereumjs/util'
import fc from 'fast-check'
import t from 'tap'
import { fromHex, type Hex, keccak, toHex } from '../../../node/base/bytes.ts'
import { EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import { type StateReader, type StateWrites, WorldState } from '../../../node/chain/state.ts'
import { EMPTY_ROOT } from '../../../node/chain/trie.ts'

class Disk implements StateReader {
  readonly nodes = new Map<string, Uint8Array>()
  readonly codes = new Map<string, Uint8Array>()
  node(hash: Uint8Array): Uint8Array | undefined {
    return this.nodes.get(toHex(hash))
  }
  code(hash: Uint8Array): Uint8Array | undefined {
    return this.codes.get(toHex(hash))
  }
  commit(writes: StateWrites): Uint8Array {
    for (const { hash, rlp } of writes.nodes) this.nodes.set(toHex(hash), rlp)
    for (const { hash, code } of writes.codes) this.codes.set(toHex(hash), code)
    return writes.stateRoot
  }
}

const A: Hex = `0x${'0a'.repeat(20)}`
const slot = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`
const address = (hex: Hex) => new Address(fromHex(hex))

function opened(disk: Disk, root: Uint8Array = EMPTY_ROOT): WorldState {
  return new WorldState(disk, root)
}

type Op =
  | { op: 'balance'; who: number; wei: number }
  | { op: 'slot'; who: number; at: number; value: number }
  | { op: 'delete'; who: number }
  | { op: 'wipe'; who: number }
  | { op: 'checkpoint' | 'commit' | 'revert' }

const who = fc.nat(3)
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant('balance' as const), who, wei: fc.nat(9) }),
  fc.record({ op: fc.constant('slot' as const), who, at: fc.nat(4), value: fc.nat(3) }),
  fc.record({ op: fc.constant('delete' as const), who }),
  fc.record({ op: fc.constant('wipe' as const), who }),
  fc.record({ op: fc.constantFrom('checkpoint' as const, 'commit' as const, 'revert' as const) }),
)

type Model = Map<number, { balance: number; slots: Map<number, number> }>
const copyOf = (model: Model): Model =>
  new Map([...model].map(([n, a]) => [n, { balance: a.balance, slots: new Map(a.slots) }]))

const nameOf = (n: number): Hex => `0x${(n + 1).toString(16).padStart(40, '0')}`

async function apply(state: WorldState, step: Op, models: Model[]): Promise<void> {
  const model = models[models.length - 1] as Model
  switch (step.op) {
    case 'checkpoint':
      await state.checkpoint()
      models.push(copyOf(model))
      return
    case 'commit':
      if (models.length < 2) return
      await state.commit()
      models.splice(-2, 1)
      return
    case 'revert':
      if (models.length < 2) return
      await state.revert()
      models.pop()
      return
    case 'balance': {
      const account = model.get(step.who) ?? { balance: 0, slots: new Map() }
      state.setAccount(nameOf(step.who), {
        ...(state.account(nameOf(step.who)) ?? EMPTY_ACCOUNT),
        nonce: 1n,
        balance: BigInt(step.wei),
      })
      model.set(step.who, { ...account, balance: step.wei })
      return
    }
    case 'slot': {
      const account = model.get(step.who)
      if (!account) return
      await state.putStorage(
        address(nameOf(step.who)),
        fromHex(slot(step.at)),
        Uint8Array.of(step.value),
      )
      if (step.value) account.slots.set(step.at, step.value)
      else account.slots.delete(step.at)
      return
    }
    case 'delete':
      await state.deleteAccount(address(nameOf(step.who)))
      model.delete(step.who)
      return
    case 'wipe':
      if (!model.has(step.who)) return
      await state.clearStorage(address(nameOf(step.who)))
      model.get(step.who)?.slots.clear()
  }
}

/** The root of the same content, written from nothing. */
function rootOf(model: Model): string {
  const state = opened(new Disk())
  for (const [n, account] of model) {
    state.setAccount(nameOf(n), { ...EMPTY_ACCOUNT, nonce: 1n, balance: BigInt(account.balance) })
    for (const [at, value] of account.slots)
      state.setSlot(nameOf(n), slot(at), Uint8Array.of(value))
  }
  return toHex(state.finish().stateRoot)
}

t.test(
  'after any operations, checkpoints, reverts and blocks the root is that of the content',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(op, { maxLength: 25 }), { maxLength: 3 }),
        async (blocks) => {
          const disk = new Disk()
          let root = EMPTY_ROOT
          let model: Model = new Map()
          for (const steps of blocks) {
            const state = opened(disk, root)
            const models = [model]
            for (const step of steps) await apply(state, step, models)
            while (models.length > 1) await apply(state, { op: 'commit' }, models)
            model = models[0] as Model
            root = disk.commit(state.finish())
            if (toHex(root) !== rootOf(model)) throw new Error('root differs from the content')
          }
        },
      ),
      { numRuns: 300 },
    )
  },
)

t.test('unwind closes every checkpoint above a depth', async (t) => {
  const state = opened(new Disk())
  await state.checkpoint()
  state.addBalance(A, 5n)
  await state.checkpoint()
  state.addBalance(A, 5n)
  await state.checkpoint()
  state.setSlot(A, slot(1), Uint8Array.of(9))
  state.unwind(1)
  t.equal(state.depth, 1)
  t.equal(state.account(A)?.balance, 5n)
  t.equal(state.slot(A, slot(1)).length, 0)
  state.unwind(0)
  t.equal(state.account(A), null)
})

t.test(
  'finishing with an open checkpoint, or taking a balance below zero, is a fault',
  async (t) => {
    const state = opened(new Disk())
    t.throws(() => state.addBalance(A, -1n), { code: 'assertion' })
    await state.checkpoint()
    t.throws(() => state.finish(), { code: 'assertion' })
  },
)

t.test(
  'code is written when an account keeps it, and not when its frame was reverted',
  async (t) => {
    const disk = new Disk()
    const state = opened(disk)
    const code = Uint8Array.of(0x60, 0x01)
    await state.checkpoint()
    await state.putCode(address(A), code)
    await state.revert()
    t.equal(state.finish().codes.length, 0)
    const again = opened(disk)
    await again.putCode(address(A), code)
    const root = disk.commit(again.finish())
    t.same(await opened(disk, root).getCode(address(A)), code)
    t.same(opened(disk, root).account(A)?.codeHash, keccak(code))
  },
)

t.test('the original value of a slot is that of the start of the transaction', async (t) => {
  const state = opened(new Disk())
  state.setAccount(A, { ...EMPTY_ACCOUNT, nonce: 1n })
  const key = fromHex(slot(3))
  await state.putStorage(address(A), key, Uint8Array.of(7))
  t.same(await state.originalStorageCache.get(address(A), key), Uint8Array.of(7))
  await state.putStorage(address(A), key, Uint8Array.of(8))
  t.same(await state.originalStorageCache.get(address(A), key), Uint8Array.of(7))
  state.originalStorageCache.clear()
  t.same(await state.originalStorageCache.get(address(A), key), Uint8Array.of(8))
})

t.test('opening a root that is not there fails at the first read', async (t) => {
  const state = opened(new Disk(), keccak(Uint8Array.of(1)))
  t.throws(() => state.account(A), /is not in the database/)
  t.notOk(await state.hasStateRoot(keccak(Uint8Array.of(1))))
})
