/** What a player does about a game, for each state it can be in. */
import t from 'tap'
import type { OpenGame } from '../../../prover/settlement/games.ts'
import { challengerMove, proposerMove, type View } from '../../../prover/settlement/moves.ts'

const SELF = `0x${'01'.repeat(20)}` as const
const OTHER = `0x${'02'.repeat(20)}` as const
const NOBODY = `0x${'00'.repeat(20)}` as const

type Case = Partial<OpenGame['state']> & Partial<View> & { creator?: typeof SELF | typeof OTHER }

function game({ creator = SELF, ...fields }: Case): OpenGame {
  const state = {
    status: 'inProgress',
    proposal: 'unchallenged',
    deadline: 100n,
    resolvedAt: 0n,
    challenger: NOBODY,
    ...fields,
  } as const
  const outputRoot = `0x${'03'.repeat(32)}` as const
  return { index: 0n, proxy: OTHER, creator, outputRoot, l2BlockNumber: 10n, createdAt: 1n, state }
}

function view(fields: Case): View {
  return {
    judgement: 'right',
    self: SELF,
    credit: 0n,
    now: 50n,
    anchorBlock: 0n,
    isClaimValid: false,
    ...fields,
  }
}

const won = { proposal: 'resolved', status: 'defenderWins' } as const
const lost = { proposal: 'resolved', status: 'challengerWins' } as const

t.test('the proposer', async (t) => {
  const table: [string, Case, string][] = [
    ['waits for the deadline', {}, 'wait'],
    ['its last second', { now: 100n }, 'wait'],
    ['resolves after it', { now: 101n }, 'resolve'],
    ['defends itself', { proposal: 'challenged' }, 'prove'],
    ['cannot defend too late', { proposal: 'challenged', now: 101n }, 'resolve'],
    ['defends a right output of others', { proposal: 'challenged', creator: OTHER }, 'prove'],
    [
      'does not defend a wrong one',
      { proposal: 'challenged', judgement: 'wrong', creator: OTHER },
      'done',
    ],
    ['nor its own', { proposal: 'challenged', judgement: 'wrong' }, 'wait'],
    ['resolves what was proven', { proposal: 'proven' }, 'resolve'],
    ['waits for its own derivation', { judgement: 'unknown', proposal: 'challenged' }, 'wait'],
    ['claims', { ...won, credit: 1n }, 'claim'],
    ['waits for the air gap', won, 'wait'],
    ['anchors', { ...won, isClaimValid: true }, 'anchor'],
    ['is done when the anchor is there', { ...won, isClaimValid: true, anchorBlock: 10n }, 'done'],
    ['has lost', lost, 'done'],
    ['loses a challenge it won the bond of', { ...lost, credit: 1n }, 'claim'],
  ]
  for (const [name, fields, expected] of table) {
    t.equal(proposerMove(game(fields), view(fields)).kind, expected, name)
  }
  t.match(proposerMove(game(lost), view(lost)), { alarm: /overturned/ })
})

t.test('the challenger', async (t) => {
  const wrong = { judgement: 'wrong' } as const
  const ours = { proposal: 'challenged', challenger: SELF } as const
  const table: [string, Case, string][] = [
    ['leaves a right output alone', {}, 'done'],
    ['challenges a wrong one', wrong, 'challenge'],
    ['in its last second too', { ...wrong, now: 100n }, 'challenge'],
    ['but not later', { ...wrong, now: 101n }, 'wait'],
    ['waits until it knows', { judgement: 'unknown' }, 'wait'],
    ['lets another challenge run', { ...wrong, proposal: 'challenged', challenger: OTHER }, 'wait'],
    ['waits for a proof', { ...wrong, ...ours }, 'wait'],
    ['resolves when none came', { ...wrong, ...ours, now: 101n }, 'resolve'],
    ['claims', { ...wrong, ...lost, challenger: SELF, credit: 1n }, 'claim'],
    ['is done', { ...wrong, ...lost, challenger: SELF }, 'done'],
  ]
  for (const [name, fields, expected] of table) {
    t.equal(challengerMove(game(fields), view(fields)).kind, expected, name)
  }
  t.match(challengerMove(game(won), view({ ...wrong })), { alarm: /wrong output has been settled/ })
})
