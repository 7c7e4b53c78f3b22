/**
 * gossipsub's peer score, as parameters. What counts: messages our validators reject (P4, one is
 * enough to be out), protocol misbehaviour seen by the router (P7), many peers behind one address
 * (P6), and our own ledger of requests gone wrong (P5). Delivery quotas (P3) are off: an L2 has few
 * messages, and a quiet peer is not a bad one.
 */
import { createPeerScoreParams, createTopicScoreParams } from '@libp2p/gossipsub/score'
import {
  BAN_SCORE,
  GOSSIP_SCORE,
  GRAYLIST_SCORE,
  INVALID_MESSAGE_WEIGHT,
  PUBLISH_SCORE,
} from './blame.ts'
import { BAN_MS } from './options.ts'
import type { Peer } from './types.ts'

const DECAY_INTERVAL_MS = 1_000
/** A counter below this is 0. */
const DECAY_TO_ZERO = 0.01

export function scoreParams(
  topics: readonly string[],
  ledgerScore: (peer: Peer) => number,
): ReturnType<typeof createPeerScoreParams> {
  const topic = createTopicScoreParams({
    topicWeight: 1,
    timeInMeshWeight: 0.01,
    timeInMeshQuantum: 1_000,
    timeInMeshCap: 300,
    firstMessageDeliveriesWeight: 0.1,
    firstMessageDeliveriesDecay: decayOver(60_000),
    firstMessageDeliveriesCap: 30,
    meshMessageDeliveriesWeight: 0,
    meshFailurePenaltyWeight: 0,
    invalidMessageDeliveriesWeight: INVALID_MESSAGE_WEIGHT,
    invalidMessageDeliveriesDecay: decayOver(BAN_MS),
  })
  return createPeerScoreParams({
    topics: Object.fromEntries(topics.map((name) => [name, topic])),
    // Good conduct earns at most this, so it cannot pay for an invalid message.
    topicScoreCap: 10,
    appSpecificScore: ledgerScore,
    appSpecificWeight: 1,
    IPColocationFactorWeight: -35,
    IPColocationFactorThreshold: 10,
    IPColocationFactorWhitelist: new Set(['127.0.0.1', '::1']),
    behaviourPenaltyWeight: -16,
    behaviourPenaltyThreshold: 6,
    behaviourPenaltyDecay: decayOver(10 * 60_000),
    decayInterval: DECAY_INTERVAL_MS,
    decayToZero: DECAY_TO_ZERO,
    retainScore: BAN_MS,
  })
}

export const SCORE_THRESHOLDS: {
  readonly gossipThreshold: number
  readonly publishThreshold: number
  readonly graylistThreshold: number
  readonly acceptPXThreshold: number
  readonly opportunisticGraftThreshold: number
} = {
  gossipThreshold: GOSSIP_SCORE,
  publishThreshold: PUBLISH_SCORE,
  graylistThreshold: GRAYLIST_SCORE,
  // Peer exchange is off.
  acceptPXThreshold: -BAN_SCORE,
  opportunisticGraftThreshold: 1,
}

/** The factor per interval that brings 1 down to DECAY_TO_ZERO in `ms`. */
function decayOver(ms: number): number {
  return DECAY_TO_ZERO ** (DECAY_INTERVAL_MS / ms)
}
