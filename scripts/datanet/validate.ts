/**
 * `openledger datanet review|stake|validate|unveil|conclude`: a validator's steps. The salt of a vote is derived from the
 * validator's key, so nothing has to be kept between the vote and its unveiling.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEther } from 'viem'
import { concatBytes, fromHex, type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { ENDINGS, type Media } from '../../node/datanet/media.ts'
import { decodeRows, encodeRows, rowsRoot as rootOfRows } from '../../node/datanet/rows.ts'
import type { Call, Command } from '../cli/command.ts'
import { KEY_FLAGS, nodeOf, type Person, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import { fetchMedia, wrongMedia } from './media.ts'
import { contentOf, privateRows } from './private.ts'
import { idOf, STAKING, VALIDATION } from './session.ts'

const SCORE_MAX = 10_000
/** Staking.Role */
const VALIDATOR = 1
const NO_COMMISSION = 0

const review: Command = {
  name: 'datanet review',
  summary:
    'Shows the rows of a contribution that is to be judged, as JSONL; its pictures and sounds as files',
  args: '<id> <rows-root>',
  flags: {
    ...KEY_FLAGS,
    media: { value: 'DIR', help: 'where to write pictures and sounds, named by their rows' },
  },
  notes:
    'Private rows are read with your key, when they are granted to it. Every row is checked against the root.',
  run: async (call) => {
    const [id, rowsRoot] = [idOf(call.args[0]), rootOf(call.args[1])]
    const { url, rpc } = nodeOf(call)
    type Given = { contentHash: Hex; isPrivate: boolean } | null
    const given = await rpc<Given>('openledger_getContribution', id, rowsRoot)
    if (!given) throw userError('datanet-unknown', `Datanet ${id} has no rows ${rowsRoot}`)
    const place = { datanetId: BigInt(id), rowsRoot, contentHash: given.contentHash }
    const rows = given.isPrivate
      ? await privateRows(place, await walletFor(call))
      : decodeRows(await contentOf(rpc, given.contentHash))
    if (!rows) throw userError('datanet-private', `rows ${rowsRoot} are not granted to your key`)
    if (rootOfRows(rows) !== rowsRoot)
      throw userError('datanet-content', `the file of ${rowsRoot} holds other rows`)
    const dir = call.flags.media
    if (dir) await mkdir(dir, { recursive: true })
    for (const [i, { media }] of rows.entries()) {
      if (!media) continue
      const wrong = await wrongMedia(media, rpc)
      if (wrong) process.stderr.write(`row ${i + 1}: ${wrong}\n`)
      else if (dir) await writeFile(join(dir, nameOf(i + 1, media)), await fetchMedia(media, url))
    }
    // Salts are for proofs, not for readers.
    const shown = rows.map(({ salt: _, ...row }) => row)
    process.stdout.write(new TextDecoder().decode(encodeRows(shown)))
    return undefined
  },
}

function nameOf(number: number, { type }: Media): string {
  return `${number}.${ENDINGS[type][0]}`
}

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
    const [id, rows] = [BigInt(idOf(call.args[0])), rootOf(call.args[1])]
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

export const voteCommands: readonly Command[] = [review, stake, vote, unveil, conclude]

async function ballotOf(
  { args }: Call,
  { wallet, key }: Person,
): Promise<{ id: bigint; rows: Hex; round: number; score: number; salt: Hex }> {
  const [id, rows, score] = [BigInt(idOf(args[0])), rootOf(args[1]), Number(args[2])]
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

function rootOf(text = ''): Hex {
  if (/^0x[0-9a-f]{64}$/.test(text)) return text as Hex
  throw userError('usage', `'${text}' is no rows root: 0x and 64 hex digits`)
}
