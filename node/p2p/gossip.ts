/**
 * Gossip: bytes from a peer -> a finding -> `blame.ts` -> accept, ignore or reject. What is accepted
 * goes to the subscribers of its kind, after the router has been answered (a slow subscriber must not
 * look like a slow peer).
 *
 *   frame -> rate -> decode -> [block: signer, shape, age, height, seen] -> verdict -> subscribers
 */
import type { Hex } from '../base/bytes.ts'
import { assertNever, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type Finding, type Verdict, verdictOn } from './blame.ts'
import { decodeMessage } from './codec.ts'
import { P2PError } from './errors.ts'
import type { Pubsub } from './host.ts'
import {
  BLOCK_AGE_S_MAX,
  BLOCK_AHEAD_S_MAX,
  BLOCKS_PER_HEIGHT_MAX,
  GOSSIP_RATE_PER_PEER,
  SEEN_HEIGHTS_MAX,
} from './options.ts'
import { RateTable } from './rate.ts'
import { recoverEnvelopeSigner } from './signature.ts'
import { GOSSIP_KINDS, topicOf } from './topics.ts'
import type { Clock, EnvelopeKind, GossipEvents, GossipKind, Peer, VerifiedBlock } from './types.ts'
import { type BlockSigner, checkSignedBlock } from './verify.ts'

/** What the owner of a message's meaning may say of it. `bad-encoding` costs the forwarder its place:
 * only for what every honest node can tell from the bytes alone. */
type Judgement = Extract<Finding, 'valid' | 'unwanted' | 'bad-encoding'>
export type Judges = {
  readonly transactions?: (raw: Uint8Array) => Judgement | Promise<Judgement>
  readonly envelopes?: (
    kind: EnvelopeKind,
    statement: { payload: Uint8Array; signer: Hex },
  ) => Judgement | Promise<Judgement>
}

export type GossipModules = {
  readonly chainId: bigint
  readonly signer: BlockSigner
  readonly judges: Judges
  /** Peers the operator named: what they send is checked the same, but a fault (a clock that is off,
   * say) may not cost a node its only link. */
  readonly isTrusted: (peer: Peer) => boolean
  readonly clock: Clock
  readonly log: Log
}

type Checked = { readonly finding: Finding; readonly event?: GossipEvents[GossipKind] }
type Handler<K extends GossipKind> = (event: GossipEvents[K]) => void | Promise<void>

export class Gossip {
  readonly #modules: GossipModules
  readonly #seen = new SeenBlocks()
  readonly #rates: RateTable
  readonly #handlers = new Map<GossipKind, Set<Handler<GossipKind>>>()

  constructor(modules: GossipModules) {
    this.#modules = modules
    this.#rates = new RateTable({ perPeer: GOSSIP_RATE_PER_PEER }, modules.clock)
  }

  /** Subscribes to every topic and answers for it. */
  attach(pubsub: Pubsub): void {
    for (const kind of GOSSIP_KINDS) {
      const topic = topicOf(this.#modules.chainId, kind)
      pubsub.topicValidators.set(
        topic,
        async (peer, message) => (await this.receive(kind, message.data, peer.toString())) as never,
      )
      pubsub.subscribe(topic)
    }
  }

  /** Returns the way to unsubscribe. */
  on<K extends GossipKind>(kind: K, handler: Handler<K>): () => void {
    const handlers = this.#handlers.get(kind) ?? new Set()
    this.#handlers.set(kind, handlers.add(handler as Handler<GossipKind>))
    return () => handlers.delete(handler as Handler<GossipKind>)
  }

  async receive(kind: GossipKind, data: Uint8Array, from: Peer): Promise<Verdict> {
    const { finding, event } = await this.#check(kind, data, from)
    const verdict = verdictOn(finding)
    if (verdict === 'accept') {
      if (event) setImmediate(() => this.#deliver(kind, event))
      return verdict
    }
    const { log, isTrusted } = this.#modules
    if (verdict === 'reject' && isTrusted(from)) {
      log.warn('static peer sent what no honest peer sends', { kind, finding, from })
      return 'ignore'
    }
    log.debug('gossip not accepted', { kind, finding, verdict, from })
    return verdict
  }

  async #check(kind: GossipKind, data: Uint8Array, from: Peer): Promise<Checked> {
    if (!this.#rates.take(from)) return { finding: 'over-rate' }
    try {
      switch (kind) {
        case 'blocks':
          return this.#checkBlock(data, from)
        case 'transactions': {
          const { raw } = decodeMessage('transactions', data)
          const finding = (await this.#modules.judges.transactions?.(raw)) ?? 'valid'
          return { finding, event: { raw, from } }
        }
        case 'receipts':
        case 'verdicts':
          return await this.#checkEnvelope(kind, data, from)
        default:
          return assertNever(kind)
      }
    } catch (error) {
      if (error instanceof P2PError) return { finding: 'bad-encoding' }
      this.#modules.log.error('gossip check failed', { kind, error: messageOf(error) })
      return { finding: 'not-ours-to-judge' }
    }
  }

  #checkBlock(data: Uint8Array, from: Peer): Checked {
    const check = checkSignedBlock(decodeMessage('blocks', data), this.#modules)
    if (check.kind !== 'valid') return { finding: check.kind }
    const finding = blockFinding(check.block, {
      seen: this.#seen,
      nowMs: this.#modules.clock(),
    })
    if (finding === 'valid') this.#seen.add(check.block)
    return { finding, event: { ...check.block, from } }
  }

  async #checkEnvelope(kind: EnvelopeKind, data: Uint8Array, from: Peer): Promise<Checked> {
    const { payload, signature } = decodeMessage(kind, data)
    const statement = { chainId: this.#modules.chainId, kind, payload }
    const signer = recoverEnvelopeSigner(statement, signature)
    if (!signer) return { finding: 'wrong-signer' }
    const judged = await this.#modules.judges.envelopes?.(kind, { payload, signer })
    return { finding: judged ?? 'valid', event: { payload, signer, from } }
  }

  #deliver(kind: GossipKind, event: GossipEvents[GossipKind]): void {
    for (const handler of this.#handlers.get(kind) ?? []) {
      // A subscriber's fault stays its own.
      const result = new Promise<void>((resolve) => resolve(handler(event)))
      result.catch((error) =>
        this.#modules.log.error('gossip subscriber failed', { kind, error: messageOf(error) }),
      )
    }
  }
}

/** The rules of a block that is the signer's, in the order of the specs. Pure. */
export function blockFinding(
  block: VerifiedBlock,
  context: { seen: SeenBlocks; nowMs: number },
): Finding {
  const nowS = BigInt(Math.floor(context.nowMs / 1000))
  const { timestamp } = block.decoded.header
  if (timestamp + BigInt(BLOCK_AGE_S_MAX) < nowS) return 'too-old'
  if (timestamp > nowS + BigInt(BLOCK_AHEAD_S_MAX)) return 'too-far-ahead'
  if (context.seen.has(block)) return 'seen'
  if (context.seen.countAt(block) >= BLOCKS_PER_HEIGHT_MAX) return 'too-many-at-height'
  return 'valid'
}

/** Which blocks were accepted at which height, for the newest heights seen. */
export class SeenBlocks {
  #heights = new Map<bigint, Set<Hex>>()

  has(block: VerifiedBlock): boolean {
    return this.#heights.get(block.decoded.header.number)?.has(block.decoded.hash) ?? false
  }

  countAt(block: VerifiedBlock): number {
    return this.#heights.get(block.decoded.header.number)?.size ?? 0
  }

  add(block: VerifiedBlock): void {
    const { number } = block.decoded.header
    const hashes = this.#heights.get(number) ?? new Set()
    this.#heights.set(number, hashes.add(block.decoded.hash))
    for (const oldest of this.#heights.keys()) {
      if (this.#heights.size <= SEEN_HEIGHTS_MAX) break
      this.#heights.delete(oldest)
    }
  }
}
