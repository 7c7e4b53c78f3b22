/** `openledger attribute`: which training rows, or whose, made a model answer as it does. */
import { attributeFile } from '../attribute.ts'
import type { Command } from '../cli/command.ts'
import { choice, count, need } from '../cli/flags.ts'
import { checkOutFile, FORCE_FLAG } from '../cli/out.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'

export const attributeRows: Command = {
  name: 'attribute',
  summary: 'Scores training rows of a PEFT adapter for a file of queries',
  args: '[checkpoint…]',
  flags: {
    base: {
      value: 'PATH',
      help: 'a GGUF file or a Hugging Face directory; for spans its tokenizer counts',
    },
    adapter: {
      value: 'DIR',
      help: 'a PEFT directory; without --checkpoints it is what is scored. Spans need neither of the two',
    },
    checkpoints: {
      value: 'DIR,…',
      help: 'PEFT directories of one run, scored together; more may follow as arguments',
    },
    train: { value: 'FILE', help: 'JSON lines {id, contributor, text, tokens?}' },
    query: { value: 'FILE', help: 'JSON lines {id, text, tokens?}' },
    out: { value: 'FILE', help: 'NumPy array [queries, training rows]: int64, or float32' },
    channel: {
      value: 'KIND',
      help: 'gradient, or span: what a query says word for word, by the rows alone',
      fallback: 'gradient',
    },
    precision: { value: 'KIND', help: 'int (as on chain) or f32', fallback: 'int' },
    k: {
      value: 'N',
      help: 'numbers of a sketch, 1 to 4096 (default: what the rows span, to 1024)',
    },
    by: { value: 'WHAT', help: 'row, or contributor for sums', fallback: 'row' },
    ...FORCE_FLAG,
    ...JSON_FLAG,
  },
  notes:
    'Token ids win over text, and nothing is added to them. Higher = more responsible. Columns follow the rows of --train, or the contributors in the order of their first row. Spans count bits of surprise: f32 in bits, int in 65,536ths of an eighth of a bit.',
  run: async (call) => {
    const { args, flags, switches } = call
    const channel = choice(flags, 'channel', ['gradient', 'span'])
    const listed = [...(flags.checkpoints?.split(',') ?? []), ...args].filter(Boolean)
    const meter = new Meter('attribute')
    const out = need(flags, 'out')
    checkOutFile(out, switches)
    const { queries, columns } = await attributeFile(
      {
        base: need(flags, 'base'),
        channel,
        adapters: listed.length > 0 || channel === 'span' ? listed : [need(flags, 'adapter')],
        train: need(flags, 'train'),
        query: need(flags, 'query'),
        out,
        precision: choice(flags, 'precision', ['int', 'f32']),
        by: choice(flags, 'by', ['row', 'contributor']),
        k: flags.k === undefined ? undefined : count(flags, 'k', 4096),
      },
      (phase, part) => meter.update(phase, part),
    ).finally(() => meter.end())
    show(call, { queries, columns, out }, [`wrote ${queries} x ${columns.length} scores to ${out}`])
    return undefined
  },
}
