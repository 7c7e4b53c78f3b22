/**
 * A validator: a node that follows the safe head, derived from L1, and gives every block and every
 * receipt in it a verdict: re-execute, re-infer, re-attribute, compare, report.
 *
 *   safe head moves -> block again from clean state -> its receipts again, one by one -> verdicts
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { VerdictRecord } from '../node/attribution/ledger.ts'
import { findSettled, type SettledReceipt } from '../node/attribution/settled.ts'
import { bigintToBytes, bytesToBigint, fromHex, type Hex, utf8 } from '../node/base/bytes.ts'
import { messageOf, NodeError, userError } from '../node/base/errors.ts'
import { parsePrivateKey } from '../node/base/keys.ts'
import type { Log } from '../node/base/log.ts'
import { Loop } from '../node/base/loop.ts'
import type { Block } from '../node/chain/types.ts'
import { grantedTo } from '../node/datanet/granted.ts'
import { FILE_BYTES_MAX } from '../node/datanet/rows.ts'
import { Checkpoints } from '../node/derive/checkpoints.ts'
import { missingKey } from '../node/keys/resolve.ts'
import type { Signer } from '../node/keys/signer.ts'
import type { Node } from '../node/main.ts'
import { NodeAccount } from '../node/model/account.ts'
import { type JsonObject, method, type RpcMethods } from '../node/rpc/method.ts'
import { hash, required } from '../node/rpc/params.ts'
import { modelVerdict, proverStatus, supply } from '../node/rpc/results/openledger.ts'
import { nullable } from '../node/rpc/results/shape.ts'
import type { KvTable } from '../node/store/kv.ts'
import { Aside, isOfEngine } from './aside.ts'
import { checkReceipt } from './check.ts'
import type { Difference } from './compare.ts'
import { Filer } from './filing.ts'
import { VerdictGossip } from './gossip.ts'
import { ModelReports } from './model-reports.ts'
import { ModelAudits, registeredIn } from './models.ts'
import { type OpeningSource, patientSources } from './opening.ts'
import { reexecute } from './reexecute.ts'
import { Reporter } from './report.ts'
import { isDrawn } from './sample.ts'
import { createSettlement } from './settlement/create.ts'
import { Supply, type SupplyTotals } from './supply.ts'
import { Traces } from './traces.ts'

const LOOP = { pollMs: 250, retryMs: 1_000, retryMsMax: 30_000 } as const
/** How often a receipt's content is asked for before the receipt is put aside. */
const CONTENT_TRIES_MAX = 3
/** Between two looks at a receipt that was put aside. */
const ASIDE_RETRY_MS = 10_000
/** How long the announcement of a refuted receipt's trace is waited for, in steps of LOOP.retryMs. */
const TRACE_TRIES_MAX = 30
const CONTENT_BYTES_MAX: number = 16 * 2 ** 20
const CURSOR = utf8('verified')
const NOTHING: SupplyTotals = { minted: 0n, burned: 0n, withdrawn: 0n, finalized: 0n }

export type Validator = {
  start(): Promise<string>
  stop(): Promise<void>
}

export function createValidator(node: Node): Validator {
  const signer = node.signers.validator
  if (!signer) throw userError('options', missingKey('validator'))
  const prover = new Prover(node, signer)
  const settlement = createSettlement(node, { signer, verifiedBlock: () => prover.verifiedBlock })
  return {
    start: async () => {
      await settlement?.check()
      const url = await node.start([prover.methods(), settlement?.methods ?? {}])
      prover.start()
      settlement?.service.start()
      return url
    },
    stop: async () => {
      await settlement?.service.stop()
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
  /** Why verification has stopped, if it has: a block does not re-execute, or the books do not balance. */
  readonly blockMismatch: string | null
}

export class Prover {
  readonly #node: Node
  readonly #log: Log
  readonly #validator: Hex
  readonly #table: KvTable
  readonly #traces: Traces
  readonly #aside: Aside
  readonly #supply: Supply
  readonly #reporter: Reporter
  readonly #filer: Filer
  readonly #gossip: VerdictGossip
  readonly #checkpoints: Checkpoints
  readonly #audits: ModelAudits
  readonly #modelReports: ModelReports
  readonly #openingsOf: (provider: Hex) => OpeningSource
  #totals: SupplyTotals | null = null
  #asideAtMs = 0
  readonly #abort = new AbortController()
  readonly #loop: Loop
  #isLoaded = false
  #status: ProverStatus = {
    verifiedBlock: 0n,
    stateRoot: null,
    receiptsVerified: 0,
    receiptsRefuted: 0,
    blockMismatch: null,
  }

  constructor(node: Node, signer: Signer) {
    this.#node = node
    this.#log = node.log.child('prover')
    this.#validator = signer.address
    this.#table = node.store.table('prover')
    this.#traces = new Traces(node.store.table('traces'))
    this.#aside = new Aside(node.store.table('unverified'))
    this.#checkpoints = new Checkpoints(node.store.table('checkpoints'))
    this.#supply = new Supply({
      config: node.config,
      reader: node.l1.reader,
      client: node.l1.client,
      books: node.store.table('supply'),
      sent: node.store.table('withdrawals'),
    })
    const account = new NodeAccount(signer, {
      chain: node.chain,
      chainId: node.config.l2ChainId,
      nonce: async (address) => node.pool.pendingNonce(address),
      submit: (raw) => node.submit(raw),
    })
    const settled = (receipt: Hex): Promise<SettledReceipt | null> => node.ledger.get(receipt)
    const onChain = { account, log: this.#log, settled }
    this.#reporter = new Reporter({ ...onChain, table: node.store.table('reports') })
    this.#filer = new Filer(node.options, {
      ...onChain,
      table: node.store.table('filings'),
      days: node.store.table('filing-days'),
      chain: node.chain,
      now: () => node.chain.head('unsafe').timestamp,
    })
    this.#gossip = new VerdictGossip({
      waiting: node.store.table('verdicts-unsigned'),
      verdict: (receipt) => node.ledger.verdict(receipt, this.#validator),
      publish: (payload) => node.p2p.publish('verdicts', payload),
      log: this.#log,
    })
    this.#modelReports = new ModelReports({
      waiting: node.store.table('model-reports'),
      days: node.store.table('model-report-days'),
      reporter: this.#reporter,
      ledger: node.ledger,
      chain: node.chain,
      log: this.#log,
      now: () => node.chain.head('unsafe').timestamp,
      isRefuted: async (receipt) =>
        (await node.ledger.verdict(receipt, this.#validator))?.ok === false,
      judge: (settled, difference) => this.#judge(settled, difference, { isTold: false }),
    })
    this.#audits = new ModelAudits({
      node,
      read: (hash) => this.#content(hash, FILE_BYTES_MAX),
      open: grantedTo({
        chainId: node.config.l2ChainId,
        secret: node.options.validatorKey ? parsePrivateKey(node.options.validatorKey) : undefined,
        address: signer.address,
        grantOf: (place) => node.models.registry.grantOf(place),
        isErased: (place) => node.models.registry.isErased(place),
        read: (hash) => this.#content(hash, FILE_BYTES_MAX),
      }),
      signal: this.#abort.signal,
      refuted: (modelId, difference) => this.#modelReports.refuted(modelId, difference),
    })
    this.#openingsOf = patientSources(node.openings, {
      chainId: node.config.l2ChainId,
      signal: this.#abort.signal,
      log: this.#log,
    })
    this.#loop = new Loop(LOOP, {
      name: 'verification',
      log: this.#log,
      turn: () => this.#next(),
    })
    node.pruner.needs(() => this.#status.verifiedBlock)
    node.checks.push({ name: 'verification', run: () => this.#loop.fatal?.message ?? null })
    node.p2p.on('receipts', async ({ payload }) => {
      if (payload.length === 65) await this.#traces.put(payload.slice(0, 32), payload.slice(32, 64))
    })
  }

  get verifiedBlock(): bigint {
    return this.#status.verifiedBlock
  }

  start(): void {
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#loop.stop()
    await this.#audits.stop()
  }

  methods(): RpcMethods {
    return {
      openledger_proverStatus: method({
        summary: 'How far this validator has re-executed and re-inferred what L1 says',
        params: [],
        result: proverStatus,
        handler: () => ({
          ...this.#status,
          verifiedBlock: Number(this.#status.verifiedBlock),
          validator: this.#validator,
        }),
      }),
      openledger_getModelVerdict: method({
        summary:
          "This validator's verdict on a model: its table added up again, training steps up to a drawn one run again; of a wrong one, how far its receipts are reported; or null",
        params: [required('modelId', hash)],
        result: nullable(modelVerdict),
        handler: async (_context, [modelId]): Promise<JsonObject | null> => {
          const verdict = await this.#audits.verdict(modelId)
          if (!verdict) return null
          const reports = verdict.difference && (await this.#modelReports.counts(modelId))
          return { ...verdict, reports } as unknown as JsonObject
        },
      }),
      openledger_bridgeBooks: method({
        summary:
          'wei of OPEN minted, burnt and withdrawn on L2 and paid out on L1, at the verified block; checked against what L1 locks',
        params: [],
        result: supply,
        handler: () => {
          const { minted, burned, withdrawn, finalized } = this.#totals ?? NOTHING
          const lockedCheckedAt = this.#supply.lockedCheckedAt
          return {
            block: Number(this.#status.verifiedBlock),
            minted: minted.toString(),
            burned: burned.toString(),
            withdrawn: withdrawn.toString(),
            finalized: finalized.toString(),
            locked: (minted - finalized).toString(),
            lockedCheckedAt: lockedCheckedAt === null ? null : Number(lockedCheckedAt),
          }
        },
      }),
    }
  }

  async #load(): Promise<void> {
    const cursor = await this.#table.get(CURSOR)
    this.#status = { ...this.#status, verifiedBlock: cursor ? bytesToBigint(cursor) : 0n }
    await this.#audits.load()
    this.#isLoaded = true
  }

  /** Verifies one safe block. False when there is none to verify. */
  async #next(): Promise<boolean> {
    const { chain } = this.#node
    if (!this.#isLoaded) await this.#load()
    const parentHash = await this.#stepBack()
    const number = this.#status.verifiedBlock + 1n
    if (number > chain.headRef('safe').number) return this.#retryAside()
    const block = chain.blockByNumber(number)
    if (!block) return false
    const verdict = await reexecute(chain, block)
    if (!verdict.ok) throw this.#refuse('a safe block does not re-execute', number, verdict.reason)
    // The books are of this branch; another one that became canonical meanwhile is seen next time.
    if (block.header.parentHash !== parentHash) return true
    const totals = await this.#supply.check(verdict.executed, parentHash)
    if ('wrong' in totals) throw this.#refuse('the supply is wrong', number, totals.wrong)
    this.#totals = totals
    await this.#verifyReceipts(block)
    await this.#table.put(CURSOR, bigintToBytes(number, 8))
    this.#status = { ...this.#status, verifiedBlock: number, stateRoot: block.header.stateRoot }
    return true
  }

  /** Ends verification: nothing after this block is vouched for. */
  #refuse(what: string, number: bigint, reason: string): NodeError {
    const blockMismatch = `block ${number}: ${what}: ${reason}`
    this.#status = { ...this.#status, blockMismatch }
    return new NodeError('block-refused', 'fatal', blockMismatch, { number })
  }

  /** Back to the newest verified block that is still canonical (L1 may reorganise); its hash. */
  async #stepBack(): Promise<Hex> {
    const { chain } = this.#node
    for (let number = this.#status.verifiedBlock; ; number--) {
      const hash = number === 0n ? chain.genesis.hash : chain.blockByNumber(number)?.hash
      const totals = hash && (await this.#supply.totals(number, hash))
      if (!totals) continue
      this.#totals = totals
      this.#status = { ...this.#status, verifiedBlock: number }
      return hash
    }
  }

  async #verifyReceipts(block: Block): Promise<void> {
    const { chain, ledger } = this.#node
    const receipts = chain.receipts(block.hash) ?? []
    const registered = registeredIn(receipts)
    const { settled } = await findSettled(chain, block, receipts)
    if (registered.length + settled.length === 0) return
    const l1Hash = await this.#inclusionOf(block)
    await this.#audits.heard(registered, l1Hash ?? block.hash)
    for (const one of settled) {
      // Anybody can gossip a verdict: another's spares nobody a look.
      if (await ledger.verdict(one.hash, this.#validator)) continue
      const ofModel = this.#audits.refuted.get(one.receipt.modelId)
      if (ofModel) {
        await this.#modelReports.add(one, ofModel)
        continue
      }
      if (l1Hash && !isDrawn(l1Hash, one.hash, this.#node.options.sample)) continue
      await this.#verify(one)
    }
  }

  /** Hash of the L1 block that made this block safe: later than anything in it. null: derivation no longer knows, and
   * then nothing is left out. */
  async #inclusionOf({ header }: Block): Promise<Hex | null> {
    let found: Hex | null = null
    for await (const { l1, safe } of this.#checkpoints.descending()) {
      if (safe.number < header.number) return found
      found = l1.hash
    }
    return null
  }

  async #verify(settled: SettledReceipt): Promise<void> {
    const { hash: receipt } = settled
    try {
      const difference = await this.#verdictOn(settled)
      await this.#report(settled, difference)
      await this.#aside.delete(receipt)
    } catch (error) {
      if (!isAboutOne(error)) throw error
      const waits = await this.#aside.put(receipt, settled.block.number)
      const what = waits ? 'receipt put aside' : 'receipt stays without a verdict'
      this.#log.warn(what, { receipt, error: messageOf(error) })
    }
  }

  /** One receipt put aside, every now and then. Never has more work at once. */
  async #retryAside(): Promise<false> {
    if (performance.now() < this.#asideAtMs) return false
    this.#asideAtMs = performance.now() + ASIDE_RETRY_MS
    await this.#modelReports.turn(this.#audits.refuted)
    await this.#reporter.retry()
    await this.#filer.turn()
    await this.#gossip.again()
    const receipt = await this.#aside.due()
    const settled = receipt && (await this.#node.ledger.get(receipt))
    if (settled) await this.#verify(settled)
    else if (receipt) await this.#aside.delete(receipt)
    return false
  }

  #verdictOn(settled: SettledReceipt): Promise<Difference | null> {
    const { registry, library } = this.#node.models
    return checkReceipt(settled, {
      library,
      registry,
      content: (hash) => this.#content(hash),
      traceOf: (receipt) => this.#traceOf(receipt),
      openings: this.#openingsOf(settled.receipt.provider),
    })
  }

  /** The provider announces a receipt's trace some times over half a minute. */
  async #traceOf(receipt: Hex): Promise<Hex | null> {
    for (let tries = 0; tries < TRACE_TRIES_MAX && !this.#abort.signal.aborted; tries++) {
      const trace = await this.#traces.get(fromHex(receipt))
      if (trace) return trace
      await delay(LOOP.retryMs, undefined, { signal: this.#abort.signal }).catch(() => {})
    }
    return null
  }

  async #report(settled: SettledReceipt, difference: Difference | null): Promise<void> {
    // What has a verdict is not looked at again: the report is on disk before it.
    if (difference) await this.#reporter.report(settled, difference)
    // Its model may have been refuted meanwhile.
    const ofModel = difference ? undefined : this.#audits.refuted.get(settled.receipt.modelId)
    if (ofModel) await this.#modelReports.add(settled, ofModel)
    else await this.#judge(settled, difference)
  }

  /** @param options.isTold false: the network hears of it in its turn, with others */
  async #judge(
    settled: SettledReceipt,
    difference: Difference | null,
    { isTold } = { isTold: true },
  ): Promise<void> {
    const ok = difference === null
    const verdict: VerdictRecord = {
      receiptHash: settled.hash,
      ok,
      validator: this.#validator,
      difference,
    }
    await this.#node.ledger.putVerdict(verdict)
    await this.#filer.judged(settled.hash)
    this.#status = {
      ...this.#status,
      receiptsVerified: this.#status.receiptsVerified + (ok ? 1 : 0),
      receiptsRefuted: this.#status.receiptsRefuted + (ok ? 0 : 1),
    }
    if (ok) this.#log.info('receipt verified', { receipt: settled.hash })
    else {
      const { provider } = settled.receipt
      this.#log.warn('receipt refuted', { receipt: settled.hash, provider, ...difference })
    }
    if (isTold) await this.#gossip.tell(verdict)
    else await this.#gossip.later(settled.hash)
  }

  /** @throws NodeError when nobody shows it after some tries; the block is tried again later. */
  async #content(hash: Hex, bytesMax = CONTENT_BYTES_MAX): Promise<Uint8Array> {
    const { content, p2p } = this.#node
    if (await content.has(hash)) return content.get(hash)
    let failure: unknown
    for (let tries = 0; tries < CONTENT_TRIES_MAX && !this.#abort.signal.aborted; tries++) {
      try {
        const bytes = await p2p.fetchContent(hash, { bytesMax })
        await content.put(bytes)
        return bytes
      } catch (error) {
        failure = error
        await delay(LOOP.retryMs, undefined, { signal: this.#abort.signal }).catch(() => {})
      }
    }
    throw new NodeError(
      'content-not-shown',
      'retry',
      `nobody shows content ${hash}: ${messageOf(failure)}`,
    )
  }
}

/** It cannot be checked now, or not by this node (another base, an adapter that is none): which holds up no other. */
function isAboutOne(error: unknown): boolean {
  if (isOfEngine(error)) return true
  return error instanceof NodeError && (error.severity === 'retry' || error.severity === 'user')
}
