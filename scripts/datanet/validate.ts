/**
 * `openledger datanet stake|validate|unveil|conclude`: a validator's steps. The salt of a vote is derived from the
 * validator's key, so nothing has to be kept between the vote and its unveiling.
 */
import { parseEther } from 'viem'
import { concatBytes, fromHex, type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import type { Call, Command } from '../cli/command.ts'
import { KEY_FLAGS, type Person, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { idOf, rowsRootOf, STAKING, VALIDATION } from './session.ts'

const SCORE_MAX = 10_000
/** Staking.Role */
const VALIDATOR = 1
const NO_COMMISSION = 0

const stake: Command = {
  name: 'datanet stake',
  summary: 'Bonds OPEN behind your scores, in Staking as a validator',
  args: '<open>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const { wallet } = await walletFor(call)
    const value = parseEther(call.args[0] ?? '')
    const pool = await wallet.read<{ opened: boolean }>({
      ...STAKING,
      functionName: 'poolOf',
      args: [VALIDATOR, wallet.address],
    })
    const sent = pool.opened
      ? await wallet.send({
          ...STAKING,
          functionName: 'delegate',
          args: [VALIDATOR, wallet.address],
          value,
        })
      : await wallet.send({
          ...STAKING,
          functionName: 'open',
          args: [VALIDATOR, NO_COMMISSION],
          value,
        })
    show(call, { transaction: sent.transactionHash }, [`${call.args[0]} OPEN bonded`])
    return undefined
  },
}

const vote: Command = {
  name: 'datanet validate',
  summary: 'Commits to a score (0 to 10000) for a contribution, named by its rows root',
  args: '<id> <rows-root> <score>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const person = await walletFor(call)
    const ballot = await ballotOf(call, person)
    const commitment = await person.wallet.read<Hex>({
      ...VALIDATION,
      functionName: 'scoreCommitment',
      args: [
        ballot.id,
        ballot.rows,
        ballot.round,
        person.wallet.address,
        ballot.score,
        ballot.salt,
      ],
    })
    const args = [ballot.id, ballot.rows, commitment]
    const sent = await person.wallet.send({ ...VALIDATION, functionName: 'commitScore', args })
    show(call, { transaction: sent.transactionHash, round: ballot.round }, [
      `committed; say 'openledger datanet unveil' with the same score when the window has closed`,
    ])
    return undefined
  },
}

const unveil: Command = {
  name: 'datanet unveil',
  summary: 'Reveals the score committed before',
  args: '<id> <rows-root> <score>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const person = await walletFor(call)
    const { id, rows, score, salt } = await ballotOf(call, person)
    const args = [id, rows, score, salt]
    const sent = await person.wallet.send({ ...VALIDATION, functionName: 'revealScore', args })
    show(call, { transaction: sent.transactionHash }, [`revealed ${score}`])
    return undefined
  },
}

const conclude: Command = {
  name: 'datanet conclude',
  summary: 'Ends a round of scores whose windows are over; anyone may',
  args: '<id> <rows-root>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const person = await walletFor(call)
    const [id, rows] = [BigInt(idOf(call.args[0])), rowsRootOf(call.args[1])]
    await person.wallet.send({ ...VALIDATION, functionName: 'conclude', args: [id, rows] })
    const found = await person.rpc<{ validation: { outcome: string; score: number } } | null>(
      'openledger_getContribution',
      Number(id),
      rows,
    )
    const { outcome = 'none', score = 0 } = found?.validation ?? {}
    show(call, { outcome, score }, [
      outcome === 'none' ? 'too few scores: a new round' : `${outcome} with ${score}`,
    ])
    return undefined
  },
}

export const voteCommands: readonly Command[] = [stake, vote, unveil, conclude]

async function ballotOf(
  { args }: Call,
  { wallet, key }: Person,
): Promise<{ id: bigint; rows: Hex; round: number; score: number; salt: Hex }> {
  const [id, rows, score] = [BigInt(idOf(args[0])), rowsRootOf(args[1]), Number(args[2])]
  if (!Number.isInteger(score) || score < 0 || score > SCORE_MAX) {
    throw userError('usage', `the score is '${args[2]}'; a whole number from 0 to ${SCORE_MAX}`)
  }
  const [, round] = await wallet.read<readonly [bigint, number]>({
    ...VALIDATION,
    functionName: 'roundOf',
    args: [id, rows],
  })
  const salt = keccakHex(concatBytes(utf8(`openledger score ${id} ${round}`), fromHex(rows), key))
  return { id, rows, round, score, salt }
}
