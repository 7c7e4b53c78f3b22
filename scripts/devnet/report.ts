/** What a person reads at the end: the answer, whom it paid, where it stands on L1, and the verdict. */
import { stripVTControlCharacters } from 'node:util'
import type { Hex } from '../../node/base/bytes.ts'
import type { Asked, Outcome } from './ask.ts'
import type { Role } from './roles.ts'
import type { Author } from './sotu.ts'

const CONTRIBUTORS_SHOWN = 10
const BAR_CELLS = 20

export type Report = {
  readonly answer: Asked
  readonly outcome: Outcome
  readonly authors: readonly Author[]
  readonly modelId: Hex
  readonly elapsed: string
  readonly nodes: { readonly sequencer: Role; readonly validator: Role }
  readonly dir: string
  readonly stays: boolean
}

export function printOutcome(report: Report): void {
  const text = `${reportLines(report).join('\n')}\n`
  process.stdout.write(process.stdout.isTTY ? text : stripVTControlCharacters(text))
}

function reportLines({ answer, outcome, authors, elapsed, nodes, dir, stays }: Report): string[] {
  const { receipt } = answer
  const { verdict, batch } = outcome
  return [
    '',
    `  ${answer.prompt}\x1b[1m${answer.text.replace(/\s+/g, ' ')}\x1b[0m`,
    '',
    `  ${receipt.tokensIn} tokens in, ${receipt.tokensOut} out; fee ${receipt.fee} wei of OPEN, of which to`,
    `  platform ${receipt.shares.platform}, model owner ${receipt.shares.modelOwner}, stakers ${receipt.shares.stakers},`,
    `  contributors ${receipt.shares.contributors}: the people whose data shaped this answer`,
    '',
    ...contributorLines(receipt.contributors, authors),
    '',
    `  settled in     L2 block ${receipt.block.number}, transaction ${receipt.transaction}`,
    `  on L1          block ${batch.l1Block.number}, transaction ${batch.transactionHash}`,
    ...batch.versionedHashes.map((hash) => `  blob           ${hash}`),
    `  state root     ${outcome.stateRoot}`,
    `  validator      ${verdictLine(outcome)}`,
    '',
    `  ${elapsed} in all.`,
    ...(stays
      ? [
          '',
          `  page           ${nodes.sequencer.url}/`,
          `  JSON-RPC       ${nodes.sequencer.url}   (WebSocket on the same port)`,
          `  OpenAI API     ${nodes.sequencer.url}/v1`,
          `  validator      ${nodes.validator.url}`,
          `  all endpoints  ${dir}/endpoints.json; logs in ${dir}/sequencer and ${dir}/validator`,
          '',
          '  Running; Ctrl-C stops everything.',
        ]
      : []),
    ...(verdict.ok ? [] : ['', `  MISMATCH: ${JSON.stringify(verdict.difference)}`]),
  ]
}

function contributorLines(
  contributors: Asked['receipt']['contributors'],
  authors: readonly Author[],
): string[] {
  const names = new Map(authors.map(({ address, name }) => [address, name]))
  const most = contributors[0]?.share ?? 1
  const lines = contributors.slice(0, CONTRIBUTORS_SHOWN).map(({ account, share, amount }) => {
    const bar = '█'.repeat(Math.max(1, Math.round((share / most) * BAR_CELLS)))
    const name = names.get(account) ?? account
    return `  ${name.padEnd(24)} ${`${(share * 100).toFixed(2)} %`.padStart(8)} ${bar.padEnd(BAR_CELLS)} ${amount} wei`
  })
  const rest = contributors.length - lines.length
  return rest > 0 ? [...lines, `  and ${rest} more`] : lines
}

function verdictLine({ verdict, agreed }: Outcome): string {
  if (!verdict.ok && verdict.difference) {
    const { stage, field, index, claimed, found } = verdict.difference
    return `MISMATCH at ${stage} ${field}${index === undefined ? '' : ` ${index}`}: claimed ${claimed}, found ${found}`
  }
  if (!agreed) return 'MISMATCH: the two nodes hold different blocks'
  return 'derived every block from L1, re-executed, re-ran the inference: the same, byte for byte'
}
