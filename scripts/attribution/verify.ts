/** One receipt looked at whole, as a list of what was checked and an explanation of what differs. */
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { NodeError } from '../../node/base/errors.ts'
import type { ModelLibrary } from '../../node/model/library.ts'
import type { Registry } from '../../node/model/registry.ts'
import { wrongBy } from '../../prover/aside.ts'
import { type CheckModules, checkReceipt, checkTable } from '../../prover/check.ts'
import type { Difference } from '../../prover/compare.ts'
import { type Explanation, explainDifference, LOOKS } from '../../prover/explain.ts'
import type { SealedTable } from '../../prover/resum.ts'

export type Looked = {
  readonly receipt: Hex
  readonly block: number
  readonly model: Hex
  readonly ok: boolean
  /** In order; what comes after the first difference was not looked at. */
  readonly checks: readonly {
    readonly stage: string
    readonly result: 'ok' | 'differs' | 'not looked at' | 'cannot check'
    /** Why it cannot be checked here. */
    readonly why?: string
  }[]
  readonly difference: (Difference & Explanation) | null
  /** What a validator says of its model, when it refuted it; believed only as far as it comes out here. */
  readonly refuted: Refuted | null
  readonly contributors: number
  /** wei */
  readonly fee: string
}

export type Refuted = { readonly validator: Hex; readonly difference: Difference }

export type LookModules = Omit<CheckModules, 'registry'> & {
  readonly library: Pick<ModelLibrary, 'base' | 'load'>
  readonly registry: CheckModules['registry'] &
    Pick<Registry, 'jobResult' | 'manifestTerms' | 'version'> & {
      table(model: Hex): Promise<SealedTable>
    }
}

const TABLE: (typeof LOOKS)[number] = { name: 'table', stages: ['table'] }

/** What each look says when nothing differs. */
const MEANING: Readonly<Record<string, string>> = {
  request: 'the receipt is of this prompt, sampler and seed',
  model: 'base, adapter and tokenizer are those of the registry',
  answer: 'every token, and the logits before each, are the same to the bit',
  sketch: 'every column of the sketch is the same',
  claims: 'the spans claimed are those found',
  attribution: 'the scores give the same root',
  payout: 'the split and every payout are the same, to the wei',
  table:
    "the model's table is the sum of its leaves, these are of its rows, and so are the vectors drawn",
}

export async function lookAt(
  settled: SettledReceipt,
  modules: LookModules,
  { withTable, refuted = null }: { withTable: boolean; refuted?: Refuted | null },
): Promise<Looked> {
  const { receipt, block, contributors } = settled
  let difference = await checkReceipt(settled, modules)
  let unread: string | null = null
  if (!difference && withTable) {
    try {
      difference = await tableOf(settled, modules)
    } catch (error) {
      difference = wrongBy(error, 'table')
      if (!difference) unread = unreadBecause(error)
    }
  }
  const looks = withTable ? [...LOOKS, TABLE] : LOOKS
  const wrong = difference?.stage
  const at = wrong ? looks.findIndex(({ stages }) => stages.includes(wrong)) : looks.length
  const { model } = modules.library.base
  const show = (token: number): string => model.decode(Uint32Array.of(token))
  return {
    receipt: settled.hash,
    block: Number(block.number),
    model: receipt.modelId,
    ok: difference === null,
    checks: looks.map((look, i) =>
      unread && look === TABLE
        ? { stage: look.name, result: 'cannot check', why: unread }
        : { stage: look.name, result: i < at ? 'ok' : i === at ? 'differs' : 'not looked at' },
    ),
    difference: difference && { ...difference, ...explainDifference(difference, show) },
    refuted,
    contributors: contributors.length,
    fee: receipt.fee.toString(),
  }
}

/** Content that this person may not read, or that nobody shows now, says nothing of the model. */
const UNREADABLE = ['datanet-private', 'datanet-erased']

function unreadBecause(error: unknown): string {
  if (!(error instanceof NodeError)) throw error
  if (error.severity === 'retry' || UNREADABLE.includes(error.code)) return error.message
  throw error
}

async function tableOf(
  { receipt: { modelId }, block }: SettledReceipt,
  { registry, library, content }: LookModules,
): Promise<Difference | null> {
  const record = await registry.model(modelId)
  if (!record) throw new Error(`no model ${modelId} is registered`)
  const modules = { registry, library, read: content }
  const table = await registry.table(modelId)
  return (await checkTable(record, table, block.hash, modules)).difference
}

export function reportLines({
  receipt,
  block,
  model,
  checks,
  difference,
  refuted,
  ...of
}: Looked): string[] {
  return [
    `receipt ${receipt} of block ${block}, model ${model}`,
    ...checks.map(({ stage, result, why: unread = '' }) => {
      const why = result === 'ok' ? (MEANING[stage] ?? '') : unread
      return `  ${result.padEnd(14)} ${stage.padEnd(12)} ${why}`.trimEnd()
    }),
    ...(refuted ? refutedLines(refuted, difference) : []),
    ...(difference
      ? [
          'the first difference:',
          `  operator  ${difference.operator}`,
          `  tile      ${difference.tile}`,
          ...(difference.row ? [`  row       ${difference.row}`] : []),
          `  expected  ${difference.expected}`,
          `  found     ${difference.found}`,
        ]
      : [
          `  ${of.fee} wei, of which ${of.contributors} contributors have their part: ${refuted ? 'as the model has it' : 'all as it must be'}`,
        ]),
  ]
}

/** A receipt that is wrong because of its model says nothing by itself: its own tokens and payouts follow from it. */
function refutedLines({ validator, difference }: Refuted, ours: Difference | null): string[] {
  const { operator, tile, row, expected, found } = explainDifference(difference)
  const isOurs = ours?.stage === difference.stage && ours.field === difference.field
  return [
    `wrong because of its model, says validator ${validator}: such receipts are reported, and what they paid is held`,
    `  ${operator}: ${tile}${row ? `, ${row}` : ''}; expected ${expected}, found ${found}`,
    isOurs
      ? '  it came out here as well'
      : '  it did not come out here: training steps are not run again by this command',
  ]
}
