/**
 * Running an agent. An agent is its registration file's field `openledger`: a prompt, a model, steps and a policy.
 *
 *     {"prompt": "You are …", "model": "sotu", "steps": [{"tool": "search_datanets"}, {"tool": "model"}],
 *      "policy": {"maxTokens": 64, "feeMax": "1000000000000000"}}
 *
 * Steps run in order, each on what came before it; without any there is one, the model's. Every step is an *action*:
 * its hash names the agent, the step, its input and output, the receipts behind it and the action before it, and goes
 * into the receipt of the next (`parentAction`). So the receipts of a run are a chain that ends in what was answered,
 * and each of them pays the model's owner, its ancestors and the contributors whose data shaped the step.
 */
import { z } from 'zod'
import { type Hex, keccakHex, utf8, ZERO_HASH } from '../base/bytes.ts'
import { canonicalJson } from '../base/canonical.ts'
import { userError } from '../base/errors.ts'
import type { AgentRecord } from './directory.ts'
import type { AgentOptions } from './options.ts'
import { searchDatanets } from './search.ts'
import type { AgentModules, Visitor } from './types.ts'

export const STEP_TOOLS = ['model', 'search_datanets', 'agent'] as const

type Step = {
  readonly tool: (typeof STEP_TOOLS)[number]
  /** Of tool `agent`. */
  readonly agent?: number | undefined
}

export type AgentProgram = {
  readonly prompt: string
  readonly model: string
  readonly steps: readonly Step[]
  readonly policy: {
    readonly maxTokens: number
    readonly temperature: number
    /** wei that a whole run may cost in fees; null: no limit of its own. */
    readonly feeMax: bigint | null
  }
}

const programSchema: z.ZodType<AgentProgram> = z.object({
  prompt: z.string().max(8_192).default(''),
  model: z.string().min(1).max(128),
  steps: z
    .array(z.object({ tool: z.enum(STEP_TOOLS), agent: z.number().int().positive().optional() }))
    .min(1)
    .default([{ tool: 'model' }]),
  policy: z
    .object({
      maxTokens: z.number().int().min(1).max(4_096).default(64),
      temperature: z.number().min(0).max(10).default(0),
      feeMax: z
        .string()
        .regex(/^\d{1,78}$/)
        .transform(BigInt)
        .nullable()
        .default(null),
    })
    .default({ maxTokens: 64, temperature: 0, feeMax: null }),
})

export type Action = {
  readonly agentId: string
  readonly step: number
  readonly tool: Step['tool']
  readonly inputHash: Hex
  readonly outputHash: Hex
  /** Of this step and of what it called. */
  readonly receipts: readonly Hex[]
  /** The action before it, or that of the agent that called; zero: the first. */
  readonly parent: Hex
}

export type Run = {
  readonly text: string
  readonly actions: readonly (Action & { readonly hash: Hex })[]
  /** Receipts with signatures, oldest first. */
  readonly records: readonly Readonly<Record<string, unknown>>[]
  /** wei */
  readonly fee: bigint
}

/** null for a registration file that is not run by nodes. @throws NodeError `agent` when it cannot be read */
export function programOf({ id, card }: AgentRecord, options: AgentOptions): AgentProgram | null {
  if (card?.openledger === undefined) return null
  const read = programSchema.safeParse(card.openledger)
  if (!read.success) {
    const [issue] = read.error.issues
    throw userError('agent', `agent ${id}: openledger.${issue?.path.join('.')}: ${issue?.message}`)
  }
  if (read.data.steps.length > options.stepsMax)
    throw userError(
      'agent',
      `agent ${id} has ${read.data.steps.length} steps; at most ${options.stepsMax}`,
    )
  return read.data
}

export function actionHash(action: Action): Hex {
  return keccakHex(utf8(canonicalJson(action)))
}

type RunContext = {
  readonly modules: AgentModules
  readonly visitor: Visitor
  readonly options: AgentOptions
  readonly signal?: AbortSignal
}

/** @throws NodeError `agent-unknown`, `agent`, `agent-policy`, and what asking a model throws */
export function runAgent(input: { id: bigint; text: string }, context: RunContext): Promise<Run> {
  return runWithin({ ...input, parent: ZERO_HASH, depth: 0 }, { ...context, steps: { taken: 0 } })
}

async function runWithin(
  input: { id: bigint; text: string; parent: Hex; depth: number },
  context: RunContext & { readonly steps: { taken: number } },
): Promise<Run> {
  const { modules, visitor, options, signal, steps } = context
  const { id, depth } = input
  if (depth > options.depthMax)
    throw userError('agent', `agents call agents ${depth} deep; at most ${options.depthMax}`)
  const record = await modules.directory.agent(id)
  if (!record) throw userError('agent-unknown', `no agent ${id} is registered`)
  const program = programOf(record, options)
  if (!program)
    throw userError('agent', `agent ${id} is not run by nodes: its card has no field 'openledger'`)
  const { model, policy } = program
  let run: Run = { text: input.text, actions: [], records: [], fee: 0n }
  for (const [index, step] of program.steps.entries()) {
    if (++steps.taken > options.runStepsMax)
      throw userError(
        'agent',
        `a run has at most ${options.runStepsMax} steps, with those it calls`,
      )
    const parent = run.actions.at(-1)?.hash ?? input.parent
    const before = run
    const add = (text: string, actions: Run['actions'], records: Run['records'], fee: bigint) => {
      const action: Action = {
        agentId: id.toString(),
        step: index,
        tool: step.tool,
        inputHash: keccakHex(utf8(before.text)),
        outputHash: keccakHex(utf8(text)),
        receipts: records.map(({ receiptHash }) => receiptHash as Hex),
        parent: actions.at(-1)?.hash ?? parent,
      }
      run = {
        text,
        actions: [...before.actions, ...actions, { ...action, hash: actionHash(action) }],
        records: [...before.records, ...records],
        fee: before.fee + fee,
      }
    }
    if (step.tool === 'search_datanets') {
      const found = await searchDatanets(modules.registry, before.text, options.listMax)
      const lines = found.map(({ id: datanet, name }) => `Datanet ${datanet}: ${name}`)
      add([before.text, ...lines].join('\n'), [], [], 0n)
    } else if (step.tool === 'agent') {
      const called = await runWithin(
        { id: BigInt(step.agent ?? 0), text: before.text, parent, depth: depth + 1 },
        context,
      )
      add(called.text, called.actions, called.records, called.fee)
    } else {
      const prompt = program.prompt ? `${program.prompt}\n${before.text}` : before.text
      const { maxTokens, temperature } = policy
      await checkFee(run.fee, { modules, program, prompt, id })
      const asked = { model, prompt, maxTokens, temperature, parentAction: parent, signal }
      const { text, record: receipt } = await modules.ask({ ...asked, ...visitor })
      add(text, [], receipt ? [receipt] : [], feeOf(receipt))
    }
  }
  return run
}

/** The worst that a step can come to must be within the policy before it is asked. */
async function checkFee(
  spent: bigint,
  context: { modules: AgentModules; program: AgentProgram; prompt: string; id: bigint },
): Promise<void> {
  const { modules, program, id, prompt } = context
  const { feeMax, maxTokens } = program.policy
  if (feeMax === null) return
  const model = await modules.registry.find(program.model)
  // A token is a byte at least, so the prompt's bytes bound its tokens.
  const most = model
    ? model.rateIn * BigInt(utf8(prompt).length) + model.rateOut * BigInt(maxTokens)
    : 0n
  if (spent + most > feeMax)
    throw userError(
      'agent-policy',
      `agent ${id} may spend ${feeMax} wei a run; ${spent} are spent and this step may cost ${most}`,
    )
}

function feeOf(record: Readonly<Record<string, unknown>> | null): bigint {
  const receipt = record?.receipt as { fee?: string } | undefined
  return BigInt(receipt?.fee ?? 0)
}
