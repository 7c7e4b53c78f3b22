/**
 * The one place that decides what a peer's doing costs it: for gossip accept / ignore / reject, for
 * requests points off its score. The rule behind every arm: a peer pays for what an honest peer
 * cannot have done, and for nothing else. An honest node checks a message before it forwards it, so
 * whoever hands us an invalid one is at fault even when someone else wrote it.
 */
import { assertNever } from '../base/errors.ts'
import type { P2PErrorCode } from './errors.ts'

/** What a check of a gossiped message found. */
export type Finding =
  | 'valid'
  | 'bad-encoding'
  | 'wrong-signer'
  | 'bad-block'
  | 'too-old'
  | 'too-far-ahead'
  | 'too-many-at-height'
  | 'seen'
  | 'over-rate'
  | 'unwanted'
  | 'not-ours-to-judge'

export type Verdict = 'accept' | 'ignore' | 'reject'

export function verdictOn(finding: Finding): Verdict {
  switch (finding) {
    case 'valid':
      return 'accept'
    // Decoding is deterministic and comes before forwarding: no honest peer passes these on.
    case 'bad-encoding':
      return 'reject'
    // The signer is fixed by the system configuration, and everyone checks it first.
    case 'wrong-signer':
      return 'reject'
    // Signed by the sequencer and still no block. A forwarder has decoded it and knows.
    case 'bad-block':
      return 'reject'
    // A replay. Gossip crosses the network in seconds; a minute is no delay (specs: 60 s).
    case 'too-old':
      return 'reject'
    // Clocks of honest nodes agree better than this (specs: 5 s).
    case 'too-far-ahead':
      return 'reject'
    // A sequencer restarting may replace a block; six different ones is a flood it signed.
    case 'too-many-at-height':
      return 'reject'
    // Two paths through the mesh: how gossip works.
    case 'seen':
      return 'ignore'
    // A forwarder passes on what others wrote; the excess costs nothing but its place.
    case 'over-rate':
      return 'ignore'
    // Our own taste (mempool full, fee too low…) is not the forwarder's.
    case 'unwanted':
      return 'ignore'
    // Our own check broke: nobody is blamed for our faults.
    case 'not-ours-to-judge':
      return 'ignore'
    default:
      return assertNever(finding)
  }
}

/** At or below this a peer is disconnected and kept out for BAN_MS. */
export const BAN_SCORE = -100
/** gossipsub: at or below this nothing a peer says is processed. */
export const GRAYLIST_SCORE = -40
/** gossipsub: below this no message is published to a peer. */
export const PUBLISH_SCORE = -40
export const GOSSIP_SCORE = -10
/** One rejected gossip message: out at once (op-node's weight; the counter is squared). */
export const INVALID_MESSAGE_WEIGHT = -140.4

/** Points a request's failure takes from the peer's score; points come back over time. */
export function penaltyOf(code: P2PErrorCode): number {
  switch (code) {
    // Bytes that are not the hash they were sent for, from one peer alone: a lie, provably.
    case 'wrong-content':
      return 100
    // Blocks not asked for, not linked or not signed by the sequencer: checked before served.
    case 'wrong-answer':
      return 100
    case 'bad-message':
    case 'too-large':
      return 50
    // Slow or cut off: may be the network, and is a nuisance when it goes on.
    case 'timeout':
      return 10
    case 'cut-off':
      return 5
    // We ask too often: the limit is the protocol's and the peer is right.
    case 'rate-limited':
      return 0
    // One of two lies, and this may be the honest one.
    case 'disagreement':
      return 0
    // The limit is our caller's; the content may well be that large.
    case 'content-too-large':
      return 0
    // Not having something is no fault; nor is not being there.
    case 'not-found':
    case 'unreachable':
      return 0
    // Our own side.
    case 'no-peer':
    case 'busy':
    case 'stopped':
    case 'bad-key':
    case 'bad-address':
    case 'bad-argument':
      return 0
    default:
      return assertNever(code)
  }
}
