/**
 * The world state while something runs on it: accounts, storage and code over one state root, read
 * lazily and changed in memory. Checkpoints are positions in an undo log, so reverting a frame costs
 * what the frame changed. Nothing reaches the database from here: `finish` returns the new root and
 * exactly the trie nodes and codes that are new, for one atomic write by the caller. A block, a call
 * or a re-execution gets a `WorldState` of its own and drops it afterwards, whatever happened to it.
 *
 * It is the state manager EthereumJS runs on (`StateManagerInterface`); its async methods resolve
 * at once because reads of the store are synchronous.
 */
import type { AccountFields, StateManagerInterface } from '@ethereumjs/common'
import { Account, type Address } from '@ethereumjs/util'
import { bytesEqual, fromHex, type Hex, keccak, toHex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { type NodeOwner, OWNER_BYTES } from '../store/trie-row.ts'
import {
  type AccountRecord,
  decodeAccount,
  decodeSlot,
  EMPTY_ACCOUNT,
  EMPTY_CODE_HASH,
  encodeAccount,
  encodeSlot,
} from './account.ts'
import { EMPTY_ROOT } from './trie.ts'
import { type Change, type TrieChange, type Tries, triesOf } from './tries.ts'

export type StateReader = {
  /** `owner`: whose storage it is a node of (`storageOwner`); without one, of the trie of accounts. */
  node(hash: Uint8Array, owner?: NodeOwner): Uint8Array | undefined
  code(hash: Uint8Array): Uint8Array | undefined
}

export type StateNode = {
  readonly hash: Uint8Array
  readonly rlp: Uint8Array
  readonly owner?: NodeOwner
}

/** What a block adds to the state database; all content-addressed, so order and repetition are free. */
export type StateWrites = {
  readonly stateRoot: Uint8Array
  readonly nodes: readonly StateNode[]
  readonly codes: readonly { readonly hash: Uint8Array; readonly code: Uint8Array }[]
  /** wei: what all balances together gained since the start. */
  readonly balanceChange: bigint
  /** After the writes; the empty root for an account that does not exist. */
  storageRootOf(address: Hex): Uint8Array
}

/** `wiped`: nothing below the block's start counts any more (the account was deleted or re-created). */
type Slots = {
  readonly owner: Uint8Array
  readonly wiped: boolean
  readonly values: Map<Hex, Uint8Array>
  readonly dirty: Set<Hex>
}

const NO_BYTES = new Uint8Array(0)

export class WorldState implements StateManagerInterface {
  readonly #reader: StateReader
  readonly #tries: Tries
  readonly #root: Uint8Array
  /** As of the start. */
  readonly #origin = new Map<Hex, AccountRecord | null>()
  readonly #accounts = new Map<Hex, AccountRecord | null>()
  readonly #dirty = new Set<Hex>()
  readonly #slots = new Map<Hex, Slots>()
  readonly #codes = new Map<Hex, Uint8Array>()
  readonly #undo: (() => void)[] = []
  readonly #marks: number[] = []
  readonly #original = new Map<string, Uint8Array>()

  constructor(reader: StateReader, root: Uint8Array) {
    this.#reader = reader
    this.#tries = triesOf(reader)
    this.#root = root
  }

  // --- plain door ---

  account(address: Hex): AccountRecord | null {
    const known = this.#accounts.get(address)
    if (known !== undefined) return known
    const account = this.#before(address)
    this.#origin.set(address, account)
    this.#accounts.set(address, account)
    return account
  }

  setAccount(address: Hex, account: AccountRecord | null): void {
    const before = this.account(address)
    if (this.#marks.length) this.#undo.push(() => this.#accounts.set(address, before))
    this.#accounts.set(address, account)
    this.#dirty.add(address)
  }

  addBalance(address: Hex, wei: bigint): void {
    const account = this.account(address) ?? EMPTY_ACCOUNT
    assert(account.balance + wei >= 0n, `balance of ${address} below zero`)
    this.setAccount(address, { ...account, balance: account.balance + wei })
  }

  /** Shortest form; empty when never set. */
  slot(address: Hex, key: Hex): Uint8Array {
    const slots = this.#slotsOf(address)
    const known = slots.values.get(key)
    if (known) return known
    let value: Uint8Array = NO_BYTES
    const current = this.account(address)
    const origin = this.#origin.get(address)
    if (!slots.wiped && current && origin && !bytesEqual(origin.storageRoot, EMPTY_ROOT)) {
      const rlp = this.#tries.get(origin.storageRoot, fromHex(key), slots.owner)
      if (rlp) value = decodeSlot(rlp)
    }
    slots.values.set(key, value)
    return value
  }

  setSlot(address: Hex, key: Hex, value: Uint8Array): void {
    const before = this.slot(address, key)
    const slots = this.#slotsOf(address)
    if (this.#marks.length) this.#undo.push(() => slots.values.set(key, before))
    slots.values.set(key, trimmed(value))
    slots.dirty.add(key)
  }

  code(hash: Uint8Array): Uint8Array {
    if (bytesEqual(hash, EMPTY_CODE_HASH)) return NO_BYTES
    const code = this.#codes.get(toHex(hash)) ?? this.#reader.code(hash)
    if (!code) throw new Error(`code ${toHex(hash)} is not in the database`)
    return code
  }

  /** How many checkpoints are open; `unwind(depth)` closes those above. */
  get depth(): number {
    return this.#marks.length
  }

  unwind(depth: number): void {
    while (this.#marks.length > depth) this.#rollBack()
  }

  /** @throws when a checkpoint is still open. */
  finish(): StateWrites {
    assert(this.#marks.length === 0, 'state finished with an open checkpoint')
    const changes: Change[] = []
    const nodes: StateNode[] = []
    const codes = new Map<Hex, Uint8Array>()
    const storageRoots = new Map<Hex, Uint8Array>()
    for (const [address, slots] of this.#slots) {
      if (slots.dirty.size || slots.wiped) this.#dirty.add(address)
    }
    let balanceChange = 0n
    for (const address of this.#dirty) {
      const account = this.account(address)
      balanceChange += (account?.balance ?? 0n) - (this.#origin.get(address)?.balance ?? 0n)
      const key = fromHex(address)
      if (!account) {
        changes.push([key, NO_BYTES])
        storageRoots.set(address, EMPTY_ROOT)
        continue
      }
      const storage = this.#commitStorage(address)
      const owner = this.#slots.get(address)?.owner
      for (const { hash, rlp } of storage.nodes) nodes.push({ hash, rlp, owner })
      storageRoots.set(address, storage.root)
      changes.push([key, encodeAccount({ ...account, storageRoot: storage.root })])
      if (this.#codes.size === 0) continue
      const code = this.#codes.get(toHex(account.codeHash))
      if (code) codes.set(toHex(account.codeHash), code)
    }
    const { root, nodes: accountNodes } = this.#tries.commit(this.#root, changes)
    return {
      stateRoot: root,
      nodes: nodes.concat(accountNodes),
      codes: [...codes].map(([hash, code]) => ({ hash: fromHex(hash), code })),
      balanceChange,
      storageRootOf: (address) =>
        storageRoots.get(address) ?? this.#before(address)?.storageRoot ?? EMPTY_ROOT,
    }
  }

  // --- EthereumJS ---

  readonly originalStorageCache: StateManagerInterface['originalStorageCache'] = {
    /** The value at the start of the transaction: asked before the slot's first write in it. */
    get: async (address: Address, key: Uint8Array) => {
      const id = address.toString() + toHex(key)
      const known = this.#original.get(id)
      if (known) return known
      const value = this.slot(hexOf(address), toHex(key))
      this.#original.set(id, value)
      return value
    },
    clear: () => this.#original.clear(),
  }

  async getAccount(address: Address): Promise<Account | undefined> {
    const account = this.account(hexOf(address))
    if (!account) return undefined
    return new Account(account.nonce, account.balance, account.storageRoot, account.codeHash)
  }

  async putAccount(address: Address, account?: Account): Promise<void> {
    if (!account) return this.deleteAccount(address)
    const { nonce, balance, storageRoot, codeHash } = account
    this.setAccount(hexOf(address), { nonce, balance, storageRoot, codeHash })
  }

  async deleteAccount(address: Address): Promise<void> {
    const hex = hexOf(address)
    this.#wipe(hex)
    this.setAccount(hex, null)
  }

  async modifyAccountFields(address: Address, fields: AccountFields): Promise<void> {
    const account = this.account(hexOf(address)) ?? EMPTY_ACCOUNT
    this.setAccount(hexOf(address), {
      nonce: fields.nonce ?? account.nonce,
      balance: fields.balance ?? account.balance,
      storageRoot: fields.storageRoot ?? account.storageRoot,
      codeHash: fields.codeHash ?? account.codeHash,
    })
  }

  async putCode(address: Address, value: Uint8Array): Promise<void> {
    const codeHash = keccak(value)
    if (value.length) this.#codes.set(toHex(codeHash), value)
    await this.modifyAccountFields(address, { codeHash })
  }

  async getCode(address: Address): Promise<Uint8Array> {
    const account = this.account(hexOf(address))
    return account ? this.code(account.codeHash) : NO_BYTES
  }

  async getCodeSize(address: Address): Promise<number> {
    return (await this.getCode(address)).length
  }

  async getStorage(address: Address, key: Uint8Array): Promise<Uint8Array> {
    return this.slot(hexOf(address), toHex(key))
  }

  async putStorage(address: Address, key: Uint8Array, value: Uint8Array): Promise<void> {
    assert(this.account(hexOf(address)), 'storage of an account that does not exist')
    this.setSlot(hexOf(address), toHex(key), value)
  }

  async clearStorage(address: Address): Promise<void> {
    this.#wipe(hexOf(address))
  }

  async checkpoint(): Promise<void> {
    this.#marks.push(this.#undo.length)
  }

  async commit(): Promise<void> {
    assert(this.#marks.pop() !== undefined, 'commit without a checkpoint')
    if (this.#marks.length === 0) this.#undo.length = 0
  }

  async revert(): Promise<void> {
    this.#rollBack()
  }

  /** The root the state started from; the new one comes from `finish`. */
  async getStateRoot(): Promise<Uint8Array> {
    return this.#root
  }

  async setStateRoot(): Promise<void> {
    throw new Error('a WorldState keeps its root: create another')
  }

  async hasStateRoot(root: Uint8Array): Promise<boolean> {
    return bytesEqual(root, EMPTY_ROOT) || this.#reader.node(root) !== undefined
  }

  clearCaches(): void {}

  shallowCopy(): StateManagerInterface {
    return new WorldState(this.#reader, this.#root)
  }

  // --- inside ---

  /** As the root has it, whatever was changed since. */
  #before(address: Hex): AccountRecord | null {
    const rlp = this.#tries.get(this.#root, fromHex(address))
    return rlp ? decodeAccount(rlp) : null
  }

  #slotsOf(address: Hex): Slots {
    let slots = this.#slots.get(address)
    if (!slots) {
      slots = freshSlots(address, false)
      this.#slots.set(address, slots)
    }
    return slots
  }

  #wipe(address: Hex): void {
    const before = this.#slotsOf(address)
    if (this.#marks.length) this.#undo.push(() => this.#slots.set(address, before))
    this.#slots.set(address, freshSlots(address, true))
  }

  #rollBack(): void {
    const mark = this.#marks.pop()
    assert(mark !== undefined, 'revert without a checkpoint')
    while (this.#undo.length > mark) this.#undo.pop()?.()
  }

  #commitStorage(address: Hex): TrieChange {
    const slots = this.#slots.get(address)
    const base = slots?.wiped ? EMPTY_ROOT : (this.#origin.get(address)?.storageRoot ?? EMPTY_ROOT)
    if (!slots?.dirty.size) return { root: base, nodes: [] }
    const changes = Array.from(slots.dirty, (key): Change => {
      const value = slots.values.get(key) as Uint8Array
      return [fromHex(key), value.length ? encodeSlot(value) : NO_BYTES]
    })
    return this.#tries.commit(base, changes, slots.owner)
  }
}

/** Whose nodes those of an account's storage are. */
export function storageOwner(address: Hex): Uint8Array {
  return keccak(fromHex(address)).subarray(0, OWNER_BYTES)
}

function freshSlots(address: Hex, wiped: boolean): Slots {
  return { owner: storageOwner(address), wiped, values: new Map(), dirty: new Set() }
}

export function trimmed(value: Uint8Array): Uint8Array {
  let at = 0
  while (at < value.length && value[at] === 0) at++
  return at ? value.subarray(at) : value
}

function hexOf(address: Address): Hex {
  return address.toString()
}
