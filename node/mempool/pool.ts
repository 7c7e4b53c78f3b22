/**
 * The mempool: signed transactions that wait for a block, by sender and nonce. RPC and gossip put in
 * (`add`), the builder takes out (`candidates`), each new block tells it what is gone (`onBlock`).
 *
 *   raw -> decode, checks -> same nonce? replacement -> funds of all together -> room -> waiting
 *
 * Everything is synchronous: between two calls the pool is whole. A refusal is a thrown `TxError` or
 * `PoolError` and changes nothing.
 */
import { bytesEqual, type Hex } from '../base/bytes.ts'
import { type AccountRecord, EMPTY_CODE_HASH } from '../chain/account.ts'
import { decodeDepositTx, isDeposit } from '../chain/deposit.ts'
import type { SkippedTx, TxError } from '../chain/errors.ts'
import { type BlockRules, rollupRules } from '../chain/rules.ts'
import { decodeTxUnder, isDelegation, type SignedTx, txHash } from '../chain/tx.ts'
import type { EthereumBlock } from '../chain/types.ts'
import { AccountQueue, type PooledTx } from './account.ts'
import { isRefusal, PoolError } from './errors.ts'
import { planEviction } from './evict.ts'
import { DEFAULT_POOL_OPTIONS, type PoolOptions } from './options.ts'
import { bestFirst, effectiveTip } from './order.ts'
import { type Admission, admit, checkGasCap, decodeForPool, type PoolHead } from './validate.ts'

export type PoolModules = {
  readonly chainId: number
  /** State, prices and limits of the newest block. */
  readonly head: () => PoolHead
  /** Seconds; decides nothing but when a transaction is too old. */
  readonly now: () => number
}

export type PoolStatus = { readonly pending: number; readonly queued: number }
export type PoolContent = {
  readonly pending: ReadonlyMap<Hex, readonly SignedTx[]>
  readonly queued: ReadonlyMap<Hex, readonly SignedTx[]>
}
export type AddedListener = (tx: SignedTx) => void

export class Mempool {
  readonly #options: PoolOptions
  readonly #modules: PoolModules
  readonly #accounts = new Map<Hex, AccountQueue>()
  /** In order of arrival. */
  readonly #byHash = new Map<Hex, PooledTx>()
  readonly #listeners = new Set<AddedListener>()
  /** By sender, oldest first. */
  readonly #slow = new Map<Hex, { gasLimit: bigint; until: number; message: string }>()
  #slots = 0
  #sequence = 0

  constructor(options: Partial<PoolOptions>, modules: PoolModules) {
    this.#options = { ...DEFAULT_POOL_OPTIONS, ...options }
    this.#modules = modules
  }

  get size(): number {
    return this.#byHash.size
  }

  /** @throws TxError, PoolError with a message for the sender. */
  add(raw: Uint8Array): Hex {
    const hash = txHash(raw)
    if (this.#byHash.has(hash)) {
      throw new PoolError('already-known', `already known: ${hash} waits in the pool`)
    }
    const head = this.#modules.head()
    const decoded = decodeForPool(raw, this.#rules(head), this.#options)
    const admission = admit(decoded, head)
    checkGasCap(decoded, this.#options)
    this.#checkSlow(decoded)
    const known = this.#accounts.get(decoded.sender)
    const account = known ?? new AccountQueue(admission.account, admission.isDelegated)
    this.#checkPlace(account, admission)
    const entry: PooledTx = {
      tx: decoded,
      cost: admission.cost,
      sequence: this.#sequence++,
      addedAt: this.#modules.now(),
      slots: Math.ceil(raw.length / this.#options.slotBytes),
    }
    const evicted = this.#roomFor(entry, account, head.baseFee)
    for (const victim of evicted) this.#drop(victim)
    if (!known) this.#accounts.set(decoded.sender, account)
    const replaced = account.put(entry)
    if (replaced) this.#forget(replaced)
    this.#byHash.set(hash, entry)
    this.#slots += entry.slots
    for (const listener of this.#listeners) listener(decoded)
    return hash
  }

  has(hash: Hex): boolean {
    return this.#byHash.has(hash)
  }

  get(hash: Hex): SignedTx | undefined {
    return this.#byHash.get(hash)?.tx
  }

  /** False when it was not here. Later nonces of the same account become queued. */
  remove(hash: Hex): boolean {
    const entry = this.#byHash.get(hash)
    if (entry) this.#drop(entry)
    return entry !== undefined
  }

  /** What a block with this base fee can take, best first; before all others `first`, if it is still here. A
   * snapshot: later changes do not show. */
  candidates(baseFee: bigint, first: Hex | null = null): Iterable<Uint8Array> {
    const lists = [...this.#accounts.values()].map((account) => account.executable)
    const lead = first === null ? undefined : this.#byHash.get(first)?.tx.raw
    return (function* () {
      if (lead) yield lead
      for (const { tx } of bestFirst(lists, baseFee)) if (tx.hash !== first) yield tx.raw
    })()
  }

  /** Drops what the block used up and what can no longer be paid. */
  onBlock(block: EthereumBlock): void {
    const touched = new Set<Hex>()
    let all = false
    for (const raw of block.transactions) {
      touched.add(this.#senderOf(raw))
      // Its authorizations change other accounts (EIP-7702); such transactions are rare.
      if (raw[0] === 4) all = true
    }
    const head = this.#modules.head()
    for (const [address, account] of this.#accounts) {
      if (all || account.isDelegated || touched.has(address))
        this.#revalidate(address, account, head)
    }
    this.#expire()
  }

  /** After blocks left the chain: everything is looked at again, and their transactions return, as many as
   * there is room for. @param dropped newest first, as the chain tells it */
  onReorg(dropped: readonly EthereumBlock[]): void {
    const head = this.#modules.head()
    for (const [address, account] of this.#accounts) this.#revalidate(address, account, head)
    for (const block of dropped.toReversed()) this.addAgain(block)
  }

  /** The transactions of a block that left the chain. False: the pool is full, and some stayed out. */
  addAgain(block: EthereumBlock): boolean {
    for (const raw of block.transactions) {
      if (this.#slots >= this.#options.slotsMax) return false
      if (!isDeposit(raw)) this.#tryAdd(raw)
    }
    return true
  }

  /** What the builder could not use: dropped unless a later block may take it. */
  onSkipped(skipped: readonly SkippedTx[]): void {
    for (const { hash, reason } of skipped) {
      if (WAITS.has(reason.code)) continue
      if (reason.code === 'computes-too-long') this.#rememberSlow(hash, reason.message)
      this.remove(hash)
    }
  }

  /** Running it cost the builder its time and the sender nothing: for a while the same account cannot ask for as
   * much again. */
  #rememberSlow(hash: Hex, message: string): void {
    const tx = this.get(hash)
    if (!tx) return
    const until = this.#modules.now() + this.#options.slowSenderSeconds
    this.#slow.delete(tx.sender)
    this.#slow.set(tx.sender, { gasLimit: tx.gasLimit / 2n, until, message })
    const [oldest] = this.#slow.keys()
    if (oldest && this.#slow.size > this.#options.slowSendersMax) this.#slow.delete(oldest)
  }

  /** @throws PoolError */
  #checkSlow({ sender, gasLimit }: SignedTx): void {
    const slow = this.#slow.get(sender)
    if (!slow || gasLimit < slow.gasLimit || this.#modules.now() > slow.until) return
    throw new PoolError(
      'computes-too-long',
      `a transaction of ${sender} was dropped: ${slow.message}; until ${new Date(slow.until * 1000).toISOString()} the account may send gas limits below ${slow.gasLimit}`,
    )
  }

  /** The account's nonce with everything executable in the pool. */
  pendingNonce(address: Hex): bigint {
    return (
      this.#accounts.get(address)?.nextNonce ?? this.#modules.head().account(address)?.nonce ?? 0n
    )
  }

  status(): PoolStatus {
    let pending = 0
    for (const account of this.#accounts.values()) pending += account.executableCount
    return { pending, queued: this.size - pending }
  }

  content(): PoolContent {
    const pending = new Map<Hex, SignedTx[]>()
    const queued = new Map<Hex, SignedTx[]>()
    for (const [address, account] of this.#accounts) {
      const split = { pending: account.executable, queued: account.queued }
      if (split.pending.length)
        pending.set(
          address,
          split.pending.map((entry) => entry.tx),
        )
      if (split.queued.length)
        queued.set(
          address,
          split.queued.map((entry) => entry.tx),
        )
    }
    return { pending, queued }
  }

  /** Called for each transaction taken in. Returns the way to stop it. */
  on(_event: 'added', listener: AddedListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // --- inside ---

  /** Nonce, replacement, account limits and funds. @throws PoolError */
  #checkPlace(account: AccountQueue, { tx, cost, isDelegated }: Admission): void {
    const options = this.#options
    const present = account.at(tx.nonce)
    if (present) checkBump(present.tx, tx, options.priceBumpPercent)
    if (isDelegated && !present && (account.size > 0 || tx.nonce !== account.nextNonce)) {
      throw new PoolError(
        'delegated-account-busy',
        `account ${tx.sender} has delegated code (EIP-7702): one transaction at a time, the next nonce is ${account.nextNonce}`,
      )
    }
    const gap = tx.nonce - account.nextNonce
    if (!present && gap > options.nonceGapMax) {
      throw new PoolError(
        'nonce-gap',
        `nonce too high: ${tx.nonce} is ${gap} beyond the next usable nonce ${account.nextNonce}, at most ${options.nonceGapMax}`,
        { have: tx.nonce, next: account.nextNonce },
      )
    }
    if (!present && gap > 0n && account.queued.length >= options.queuedPerAccountMax) {
      throw new PoolError(
        'account-queue-full',
        `account ${tx.sender} has ${account.queued.length} transactions waiting for nonce ${account.nextNonce}; send that one first`,
      )
    }
    const want = account.totalCost - (present?.cost ?? 0n) + cost
    if (want > account.balance) {
      throw new PoolError(
        'overdraft',
        `insufficient funds: have ${account.balance} wei, want ${want} wei for this transaction (${cost}) and those already waiting`,
        { have: account.balance, want },
      )
    }
  }

  #roomFor(entry: PooledTx, account: AccountQueue, baseFee: bigint): readonly PooledTx[] {
    const { tx } = entry
    const free = this.#options.slotsMax - this.#slots + (account.at(tx.nonce)?.slots ?? 0)
    if (entry.slots <= free) return []
    const newcomer = {
      account,
      isExecutable: tx.nonce <= account.nextNonce,
      index: account.executable.filter((other) => other.tx.nonce < tx.nonce).length,
      tip: effectiveTip(tx, baseFee) ?? -1n,
    }
    const plan = planEviction(this.#accounts.values(), newcomer, {
      slotsNeeded: entry.slots - free,
      executablePerAccount: this.#options.executablePerAccount,
      baseFee,
    })
    if (plan) return plan
    const hint = newcomer.isExecutable ? 'raise the tip or try later' : 'close the nonce gap first'
    throw new PoolError('pool-full', `transaction pool is full (${this.size} waiting): ${hint}`)
  }

  #drop(entry: PooledTx): void {
    const account = this.#accounts.get(entry.tx.sender)
    account?.remove(entry)
    if (account?.size === 0) this.#accounts.delete(entry.tx.sender)
    this.#forget(entry)
  }

  #forget(entry: PooledTx): void {
    this.#byHash.delete(entry.tx.hash)
    this.#slots -= entry.slots
  }

  #revalidate(address: Hex, account: AccountQueue, head: PoolHead): void {
    const record = head.account(address)
    for (const entry of account.revalidate(record, isDelegated(address, record, head)))
      this.#forget(entry)
    if (account.size === 0) this.#accounts.delete(address)
  }

  #expire(): void {
    const oldest = this.#modules.now() - this.#options.lifetimeSeconds
    for (const entry of this.#byHash.values()) {
      if (entry.addedAt > oldest) break
      this.#drop(entry)
    }
  }

  #senderOf(raw: Uint8Array): Hex {
    if (isDeposit(raw)) return decodeDepositTx(raw).from
    const known = this.#byHash.get(txHash(raw))?.tx.sender
    return known ?? decodeTxUnder(this.#rules(this.#modules.head()), raw).sender
  }

  #rules(head: PoolHead): BlockRules {
    return head.rules ?? rollupRules(this.#modules.chainId)
  }

  #tryAdd(raw: Uint8Array): void {
    try {
      this.add(raw)
    } catch (error) {
      // On the new branch it may be included already or no longer payable.
      if (!isRefusal(error)) throw error
    }
  }
}

/** Reasons of a builder that time alone can cure. */
const WAITS: ReadonlySet<TxError['code']> = new Set<TxError['code']>([
  'nonce-too-high',
  'gas-limit-over-block',
  'fee-below-base-fee',
  'out-of-time',
])

function isDelegated(address: Hex, account: AccountRecord | null, head: PoolHead): boolean {
  if (!account || bytesEqual(account.codeHash, EMPTY_CODE_HASH)) return false
  return isDelegation(head.code(address))
}

/** @throws PoolError unless `after` pays enough more than `before`. */
function checkBump(before: SignedTx, after: SignedTx, percent: bigint): void {
  const raised = (wei: bigint): bigint => (wei * (100n + percent) + 99n) / 100n
  const cap = raised(before.maxFeePerGas)
  const tip = raised(before.maxPriorityFeePerGas)
  if (after.maxFeePerGas >= cap && after.maxPriorityFeePerGas >= tip) {
    // Prices of zero cannot be raised by a percentage.
    if (after.maxFeePerGas > before.maxFeePerGas) return
  }
  throw new PoolError(
    'replacement-underpriced',
    `replacement transaction underpriced: nonce ${after.nonce} is taken; at least fee cap ${cap} and tip ${tip} wei per gas (+${percent} %)`,
    { feeCap: cap, tip },
  )
}
