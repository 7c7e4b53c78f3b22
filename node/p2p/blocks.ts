/**
 * Blocks by range, forward: `start` and the blocks after it, each with the sequencer's signature, so
 * every single one can be believed on its own. An answer may be shorter than asked (the server has
 * no more, or RANGE_BYTES_MAX is reached); the client asks on from where it ended.
 */
import type { Log } from '../base/log.ts'
import { decodeMessage, encodeMessage, messageBytesMax } from './codec.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { ask, serve } from './exchange.ts'
import type { Host } from './host.ts'
import {
  RANGE_BLOCKS_MAX,
  RANGE_BYTES_MAX,
  RANGE_RATE_GLOBAL,
  RANGE_RATE_PER_PEER,
  SERVE_TIMEOUT_MS,
} from './options.ts'
import { RateTable } from './rate.ts'
import { blocksProtocol } from './topics.ts'
import type { Clock, Peer, PeerId, SignedBlock, VerifiedBlock } from './types.ts'
import { type BlockSigner, checkSignedBlock, type PastSigners } from './verify.ts'

/** Consecutive blocks from `start` up, at most `count`; fewer (or none) when there are no more with
 * a signature. */
export type BlocksByRange = (
  start: bigint,
  count: number,
) => readonly SignedBlock[] | Promise<readonly SignedBlock[]>

export async function serveBlocks(
  host: Host,
  modules: { chainId: bigint; blocksByRange: BlocksByRange; clock: Clock },
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  const rates = new RateTable(
    { perPeer: RANGE_RATE_PER_PEER, global: RANGE_RATE_GLOBAL },
    modules.clock,
  )
  await serve(
    host,
    {
      protocol: blocksProtocol(modules.chainId),
      kind: 'blocksRequest',
      rates,
      answer: ({ start, count }) => framesOf(modules.blocksByRange, start, count),
    },
    context,
  )
}

async function* framesOf(
  blocksByRange: BlocksByRange,
  start: bigint,
  count: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for (const block of await blocksByRange(start, count)) {
    const frame = encodeMessage('blocks', block)
    bytes += frame.length
    if (bytes > RANGE_BYTES_MAX && bytes > frame.length) return
    yield frame
  }
}

/** Asks one peer. What comes back is signed, numbered from `start` without a gap, and linked.
 * @throws P2PError `wrong-answer` when it is anything else. */
export async function requestBlocksFrom(
  host: Host,
  peer: PeerId,
  request: {
    chainId: bigint
    signer: BlockSigner
    past?: PastSigners
    start: bigint
    count: number
    stopped: AbortSignal
  },
): Promise<VerifiedBlock[]> {
  const { start, chainId } = request
  const count = Math.min(request.count, RANGE_BLOCKS_MAX)
  const blocks: VerifiedBlock[] = []
  let bytes = 0
  const frames = ask(host, peer, {
    protocol: blocksProtocol(chainId),
    kind: 'blocksRequest',
    message: { start, count },
    frameBytesMax: messageBytesMax('blocks'),
    signal: AbortSignal.any([request.stopped, AbortSignal.timeout(SERVE_TIMEOUT_MS)]),
  })
  for await (const frame of frames) {
    bytes += frame.length
    const isTooLong = blocks.length > 0 && bytes > RANGE_BYTES_MAX
    if (blocks.length === count || isTooLong) throw wrong('more than was asked for')
    const check = checkSignedBlock(decodeMessage('blocks', frame), request)
    if (check.kind !== 'valid') throw wrong(check.kind)
    const { header } = check.block.decoded
    const expected = start + BigInt(blocks.length)
    if (header.number !== expected) throw wrong(`block ${header.number}, not ${expected}`)
    const parent = blocks.at(-1)
    if (parent && header.parentHash !== parent.decoded.hash) {
      throw wrong(`block ${header.number} is not a child of the one before it`)
    }
    blocks.push(check.block)
  }
  return blocks
}

function wrong(what: string): P2PError {
  return new P2PError('wrong-answer', `bad range of blocks: ${what}`)
}
