/** `openledger provenance`: where an answer, a model, rows or somebody's wei come from, drawn as a tree. */
import { formatEther } from 'viem'
import type { Hex } from '../../node/base/bytes.ts'
import type { Provenance } from '../../node/provenance/walk.ts'
import type { Command } from '../cli/command.ts'
import { NODE_FLAGS } from '../cli/person.ts'
import { answerTree, eventTree } from '../cli/provenance-tree.ts'
import { show } from '../cli/result.ts'
import { rpcTo } from '../cli/rpc.ts'

/** Spans and leaves of a model may have to be read first. */
const TIMEOUT_MS = 60_000

export const provenance: Command = {
  name: 'provenance',
  summary: 'Draws where an answer, a model, rows or earnings come from, and what came of them',
  args: '<id>',
  flags: NODE_FLAGS,
  notes: `ID is a receipt, a model, a rows root, an event (32 bytes), an account (20 bytes), or a row as datanet/version/row.
Every event is named by a hash over its block, its logs and the events before it (genesis/README.md, Provenance).`,
  run: async (call) => {
    const rpc = rpcTo(call.flags.url as string, TIMEOUT_MS)
    const found = await rpc<Found>('openledger_getProvenance', call.args[0])
    show(call, found, [
      `${found.is} ${found.id}`,
      ...(found.answer ? answerTree(found.answer, formatEther) : []),
      ...eventTree(found.events),
      ...(found.isComplete ? [] : ['(more than one answer holds: ask for one of these)']),
    ])
    return undefined
  },
}

/** As JSON has it. */
type Found = Omit<Provenance, 'events'> & {
  readonly events: readonly (Omit<Provenance['events'][number], 'block'> & {
    readonly block: { readonly number: number; readonly hash: Hex }
  })[]
}
