/**
 * A validator: a node that follows the safe head, derived from L1, and gives every block and every
 * receipt in it a verdict: re-execute, re-infer, re-attribute, compare, report.
 *
 *   safe head moves -> block again from clean state -> its receipts again, one by one -> verdicts
 */
import { setTimeout as delay } from 'node:timers/promises'
import { encodeVerdict, type VerdictRecord } from '../node/attribution/ledger.ts'
import { type SettledReceipt, settledReceipts } from '../node/attribution/settled.ts'
import { bigintToBytes, bytesToBigint, fromHex, type Hex, toHex, utf8 } from '../node/base/bytes.ts'
import { messageOf, NodeError, userError } from '../node/base/errors.ts'
import { addressOfKey, parsePrivateKey } from '../node/base/keys.ts'
import type { Log } from '../node/base/log.ts'
import type { Block } from '../node/chain/types.ts'
import type { Node } from '../node/main.ts'
import { method, type RpcMethods } from '../node/rpc/method.ts'
import type { KvTable } from '../node/store/kv.ts'
import type { Difference } from './compare.ts'
import { reattribute } from './reattribute.ts'
import { reexecute } from './reexecute.ts'
import { reinfer } from './reinfer.ts'

const POLL_MS = 250
const RETRY_MS = 1_000
const RETRY_MS_MAX = 30_000
/** How often a receipt's content is asked for before the receipt is put aside. */
const CONTENT_TRIES_MAX = 3
/** Between two looks at a receipt that was put aside. */
const ASIDE_RETRY_MS = 10_000
/** How long the announcement of a refuted receipt's trace is waited for, in steps of RETRY_MS. */
const TRACE_TRIES_MAX = 30
const CONTENT_BYTES_MAX: number = 16 * 2 ** 20
const CURSOR = utf8('verified')

export type Validator = {
  start(): Promise<string>
  stop(): Promise<void>
}

export function createValidator(node: Node): Validator {
  if (!node.options.validatorKey) {
    throw userError(
      'options',
      'a validator needs a key to sign verdicts: set OPENLEDGER_VALIDATOR_KEY',
    )
  }
  const prover = new Prover(node, parsePrivateKey(node.options.validatorKey))
  return {
    start: async () => {
      const url = await node.start([prover.methods()])
      prover.start()
      return url
    },
    stop: async () => {
      await prover.stop()
      await node.stop()
    },
  }
}

export type ProverStatus = {
  readonly verifiedBlock: bigint
  readonly stateRoot: Hex | null
  readonly receiptsVerified: number
  readonly receiptsRefuted: number
  /** Why verification has stopped, if it has. */
  readonly blockMismatch: string | null
}

export class Prover {
  readonly #node: Node
  readonly #log: Log
  readonly #validator: Hex
  readonly #table: KvTable
  readonly #traces: KvTable
  /** Receipts whose content nobody shows yet: hash -> block number. They hold up nothing else. */
  readonly #aside: KvTable
  #asideAtMs = 0
  readonly #abort = new AbortController()
  #loop: Promise<void> | null = null
  #status: ProverStatus = {
    verifiedBlock: 0n,
    stateRoot: null,
    receiptsVerified: 0,
    receiptsRefuted: 0,
    blockMismatch: null,
  }

  constructor(node: Node, key: Uint8Array) {
    this.#node = node
    this.#log = node.log.child('prover')
    this.#validator = addressOfKey(key)
    this.#table = node.store.table('prover')
    this.#traces = node.store.table('traces')
    this.#aside = node.store.table('unverified')
    node.p2p.on('receipts', async ({ payload }) => {
      if (payload.length === 65) await this.#traces.put(payload.slice(0, 32), payload.slice(32, 64))
    })
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#loop
  }

  methods(): RpcMethods {
    return {
      openledger_proverStatus: method({
        summary: 'How far this validator has re-executed and re-inferred what L1 says',
        params: [],
        result: { type: 'object' },
        handler: () => ({
          ...this.#status,
          verifiedBlock: Number(this.#status.verifiedBlock),
          validator: this.#validator,
        }),
      }),
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    const cursor = await this.#table.get(CURSOR)
    this.#status = { ...this.#status, verifiedBlock: cursor ? bytesToBigint(cursor) : 0n }
    let failures = 0
    while (!signal.aborted && !this.#status.blockMismatch) {
      let waitMs = POLL_MS
      try {
        if (await this.#next()) waitMs = 0
        failures = 0
      } catch (error) {
        waitMs = Math.min(RETRY_MS * 2 ** failures++, RETRY_MS_MAX)
        this.#log.warn('verification waits', { error: messageOf(error), waitMs })
      }
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  /** Verifies one safe block. False when there is none to verify. */
  async #next(): Promise<boolean> {
    const { chain } = this.#node
    const number = this.#status.verifiedBlock + 1n
    if (number > chain.headRef('safe').number) return this.#retryAside()
    const block = chain.blockByNumber(number)
    if (!block) return false
    const verdict = await reexecute(chain, block)
    if (!verdict.ok) {
      this.#status = { ...this.#status, blockMismatch: `block ${number}: ${verdict.reason}` }
      this.#log.error('a safe block does not re-execute', { number, reason: verdict.reason })
      return false
    }
    await this.#verifyReceipts(block)
    await this.#table.put(CURSOR, bigintToBytes(number, 8))
    this.#status = { ...this.#status, verifiedBlock: number, stateRoot: block.header.stateRoot }
    return true
  }

  async #verifyReceipts(block: Block): Promise<void> {
    const { chain, config, ledger } = this.#node
    const receipts = chain.receipts(block.hash) ?? []
    for (const settled of settledReceipts(block, receipts, config.l2ChainId)) {
      if (await ledger.verdict(settled.hash)) continue
      await this.#verify(settled)
    }
  }

  async #verify(settled: SettledReceipt): Promise<void> {
    const key = fromHex(settled.hash)
    try {
      const difference = await this.#verdictOn(settled)
      await this.#report(settled, difference)
      await this.#aside.delete(key)
    } catch (error) {
      if (!(error instanceof NodeError) || error.severity !== 'retry') throw error
      this.#log.warn('receipt put aside', { receipt: settled.hash, error: error.message })
      await this.#aside.put(key, bigintToBytes(settled.block.number, 8))
    }
  }

  /** One receipt put aside, every now and then. Never has more work at once. */
  async #retryAside(): Promise<false> {
    if (performance.now() < this.#asideAtMs) return false
    this.#asideAtMs = performance.now() + ASIDE_RETRY_MS
    for await (const [key] of this.#aside.iterate({ limit: 1 })) {
      const settled = await this.#node.ledger.get(toHex(key))
      if (settled) await this.#verify(settled)
      else await this.#aside.delete(key)
    }
    return false
  }

  async #verdictOn(settled: SettledReceipt): Promise<Difference | null> {
    const { registry, library } = this.#node.models
    const result = await reinfer(settled, {
      library,
      registry,
      content: (hash) => this.#content(hash),
      traceOf: (receipt) => this.#traceOf(receipt),
    })
    if ('stage' in result) return result
    return result.difference ?? reattribute(settled, result.ours.sketch, registry)
  }

  /** The provider announces a receipt's trace some times over half a minute. */
  async #traceOf(receipt: Hex): Promise<Hex | null> {
    for (let tries = 0; tries < TRACE_TRIES_MAX && !this.#abort.signal.aborted; tries++) {
      const trace = await this.#traces.get(fromHex(receipt))
      if (trace) return toHex(trace)
      await delay(RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => {})
    }
    return null
  }

  async #report(settled: SettledReceipt, difference: Difference | null): Promise<void> {
    const ok = difference === null
    const verdict: VerdictRecord = {
      receiptHash: settled.hash,
      ok,
      validator: this.#validator,
      difference,
    }
    await this.#node.ledger.putVerdict(verdict)
    this.#status = {
      ...this.#status,
      receiptsVerified: this.#status.receiptsVerified + (ok ? 1 : 0),
      receiptsRefuted: this.#status.receiptsRefuted + (ok ? 0 : 1),
    }
    if (ok) this.#log.info('receipt verified', { receipt: settled.hash })
    else this.#log.warn('receipt refuted', { receipt: settled.hash, ...difference })
    await this.#node.p2p.publish('verdicts', encodeVerdict(verdict)).catch((error) => {
      this.#log.warn('verdict not gossiped', { error: messageOf(error) })
    })
  }

  /** @throws NodeError when nobody shows it after some tries; the block is tried again later. */
  async #content(hash: Hex): Promise<Uint8Array> {
    const { content, p2p } = this.#node
    if (await content.has(hash)) return content.get(hash)
    let failure: unknown
    for (let tries = 0; tries < CONTENT_TRIES_MAX && !this.#abort.signal.aborted; tries++) {
      try {
        const bytes = await p2p.fetchContent(hash, { bytesMax: CONTENT_BYTES_MAX })
        await content.put(bytes)
        return bytes
      } catch (error) {
        failure = error
        await delay(RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => {})
      }
    }
    throw new NodeError(
      'content-not-shown',
      'retry',
      `nobody shows content ${hash}: ${messageOf(failure)}`,
    )
  }
}
