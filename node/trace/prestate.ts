/**
 * prestateTracer: the accounts and slots a transaction needed, as they were before it; with `diffMode`, what it
 * changed, before and after. On the rollup the fee vaults count as touched, since they are.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import { EMPTY_CODE_HASH } from '../chain/account.ts'
import { createAddress } from '../chain/execute-deposit.ts'
import { create2Address } from '../chain/observe-frames.ts'
import type { Step } from '../chain/observe-step.ts'
import {
  addressOf,
  type Budget,
  flag,
  type Json,
  memoryAt,
  optionsOf,
  quantity,
  type TraceContext,
  type Tracer,
  TracerConfigError,
  word,
} from './tracer.ts'

type Seen = {
  readonly balance: bigint
  readonly nonce: bigint
  readonly code: Uint8Array
  readonly codeHash: Hex
  readonly storage: Map<Hex, Hex>
}
type Shown = { readonly [key: string]: Json | undefined }

const ACCOUNT_BYTES = 200
const SLOT_BYTES = 140
const NO_CODE: Hex = toHex(EMPTY_CODE_HASH)
const ZERO_WORD = word(0n)

/** Opcodes that name an account on top of the stack: BALANCE, EXTCODE*, SELFDESTRUCT. */
const TOUCHING: ReadonlySet<number> = new Set([0x31, 0x3b, 0x3c, 0x3f, 0xff])
const CALLS: ReadonlySet<number> = new Set([0xf1, 0xf2, 0xf4, 0xfa])

export class PrestateTracer implements Tracer {
  readonly #budget: Budget
  readonly #isDiff: boolean
  readonly #withCode: boolean
  readonly #withStorage: boolean
  readonly #withEmpty: boolean
  readonly #seen = new Map<Hex, Seen>()
  readonly #created = new Set<Hex>()
  readonly #deleted = new Set<Hex>()
  #context: TraceContext | null = null
  #answer: Json = {}

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#isDiff = flag(options, 'diffMode')
    this.#withCode = !flag(options, 'disableCode')
    this.#withStorage = !flag(options, 'disableStorage')
    this.#withEmpty = flag(options, 'includeEmpty')
    if (this.#isDiff && this.#withEmpty) {
      throw new TracerConfigError('diffMode and includeEmpty do not go together: leave one out')
    }
  }

  begin(context: TraceContext): void {
    this.#context = context
    const to = context.to ?? createAddress(context.from, context.nonce)
    if (context.to === null) this.#created.add(to)
    else this.#seeDelegate(to)
    for (const address of [context.from, to, context.coinbase, ...context.touched])
      this.#see(address)
  }

  step(step: Step): void {
    if (step.error !== null) return
    const { op, stackLength, address, peek } = step
    if (stackLength >= 1 && (op === 0x54 || op === 0x55)) this.#seeSlot(address, word(peek(0)))
    else if (stackLength >= 1 && TOUCHING.has(op)) {
      this.#see(addressOf(peek(0)))
      if (op === 0xff && this.#created.has(address)) this.#deleted.add(address)
    } else if (stackLength >= 5 && CALLS.has(op)) {
      const to = addressOf(peek(1))
      this.#see(to)
      this.#seeDelegate(to)
    } else if (op === 0xf0) {
      this.#create(createAddress(address, this.#context?.state.account(address)?.nonce ?? 0n))
    } else if (op === 0xf5 && stackLength >= 4) {
      const initcode = memoryAt(step.memory(), peek(1), peek(2))
      const salt = Buffer.from(word(peek(3)).slice(2), 'hex')
      if (initcode) this.#create(create2Address(address, salt, initcode))
    }
  }

  end(): void {
    this.#answer = this.#isDiff ? this.#difference() : this.#before()
  }

  result(): Json {
    return this.#answer
  }

  #create(address: Hex): void {
    this.#see(address)
    this.#created.add(address)
  }

  #see(address: Hex): Seen {
    const known = this.#seen.get(address)
    if (known) return known
    const { balance, nonce, code, codeHash } = this.#now(address)
    this.#budget(ACCOUNT_BYTES + 2 * code.length)
    const seen = { balance, nonce, code, codeHash, storage: new Map<Hex, Hex>() }
    this.#seen.set(address, seen)
    return seen
  }

  /** EIP-7702: the code that will run is another account's. */
  #seeDelegate(address: Hex): void {
    const { code } = this.#now(address)
    const isDelegated = code.length === 23 && code[0] === 0xef && code[1] === 1 && code[2] === 0
    if (isDelegated) this.#see(toHex(code.subarray(3)))
  }

  #seeSlot(address: Hex, slot: Hex): void {
    if (!this.#withStorage) return
    const { storage } = this.#see(address)
    if (storage.has(slot)) return
    this.#budget(SLOT_BYTES)
    storage.set(slot, this.#slot(address, slot))
  }

  #now(address: Hex): Omit<Seen, 'storage'> {
    const state = this.#context?.state
    const account = state?.account(address)
    if (!state || !account) {
      return { balance: 0n, nonce: 0n, code: new Uint8Array(0), codeHash: NO_CODE }
    }
    const { balance, nonce, codeHash } = account
    return { balance, nonce, code: state.code(codeHash), codeHash: toHex(codeHash) }
  }

  #slot(address: Hex, slot: Hex): Hex {
    const value = this.#context?.state.slot(address, slot) ?? new Uint8Array(0)
    return `0x${toHex(value).slice(2).padStart(64, '0')}`
  }

  #before(): Json {
    return Object.fromEntries(
      [...this.#seen]
        .filter(([, seen]) => this.#withEmpty || !isEmpty(seen))
        .map(([address, seen]) => [address, this.#shown(seen)]),
    )
  }

  #difference(): Json {
    const pre: Record<string, Json> = {}
    const post: Record<string, Json> = {}
    for (const [address, seen] of this.#seen) {
      const after = this.#deleted.has(address) ? null : this.#changes(address, seen)
      if (after && Object.keys(after).length === 0) continue
      if (after) post[address] = after
      if (isEmpty(seen)) continue
      const storage = new Map(
        [...seen.storage].filter(
          ([slot, value]) =>
            after === null || (value !== ZERO_WORD && value !== this.#slot(address, slot)),
        ),
      )
      pre[address] = this.#shown({ ...seen, storage })
    }
    return { post, pre }
  }

  /** What is different now. */
  #changes(address: Hex, seen: Seen): Shown {
    const now = this.#now(address)
    const storage: Record<string, Json> = {}
    let slotsChanged = 0
    for (const [slot, before] of seen.storage) {
      const value = this.#slot(address, slot)
      if (value === before) continue
      slotsChanged++
      if (value !== ZERO_WORD) storage[slot] = value
    }
    const changes = {
      ...(now.balance === seen.balance ? {} : { balance: quantity(now.balance) }),
      ...(now.nonce === seen.nonce ? {} : { nonce: Number(now.nonce) }),
      ...(now.codeHash === seen.codeHash ? {} : { codeHash: now.codeHash }),
      ...(now.codeHash === seen.codeHash || !this.#withCode ? {} : { code: toHex(now.code) }),
      ...(Object.keys(storage).length ? { storage } : {}),
    }
    // A slot set to zero is a change without a value to show.
    return slotsChanged && Object.keys(changes).length === 0 ? { storage: {} } : changes
  }

  #shown({ balance, nonce, code, codeHash, storage }: Seen): Json {
    return {
      balance: quantity(balance),
      ...(code.length && this.#withCode ? { code: toHex(code) } : {}),
      ...(codeHash === NO_CODE ? {} : { codeHash }),
      ...(nonce ? { nonce: Number(nonce) } : {}),
      ...(storage.size ? { storage: Object.fromEntries(storage) } : {}),
    }
  }
}

function isEmpty({ balance, nonce, code }: Seen): boolean {
  return balance === 0n && nonce === 0n && code.length === 0
}
