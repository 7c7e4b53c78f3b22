/** `openledger generate`: answers a file of prompts with a model from plain files. */
import type { Command } from '../cli/command.ts'
import { choice, count, need } from '../cli/flags.ts'
import { checkOutFile, FORCE_FLAG } from '../cli/out.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'
import { generateFile } from '../generate.ts'

export const generateAnswers: Command = {
  name: 'generate',
  summary: 'Answers a file of prompts with a model from plain files',
  flags: {
    base: { value: 'PATH', help: 'a GGUF file or a Hugging Face directory' },
    adapter: { value: 'DIR', help: 'a PEFT directory, for rows that name none' },
    prompts: {
      value: 'FILE',
      help: 'JSON lines {id, tokens | text, adapter?}; adapter is a PEFT directory',
    },
    out: { value: 'FILE', help: 'JSON lines {id, tokens, text}: the new tokens only' },
    'max-new': { value: 'N', help: 'new tokens of an answer at most' },
    greedy: { help: 'the likeliest token each time; the only choice so far' },
    precision: { value: 'KIND', help: 'f32 or int8, how the base is computed', fallback: 'f32' },
    ...FORCE_FLAG,
    ...JSON_FLAG,
  },
  notes: `Rows run together, whatever their adapters. Token ids win over text, and nothing is added to them. An answer ends at the model's own end token.`,
  run: async (call) => {
    const { flags, switches } = call
    const out = need(flags, 'out')
    const job = {
      base: need(flags, 'base'),
      adapter: flags.adapter,
      prompts: need(flags, 'prompts'),
      out,
      maxNew: count(flags, 'max-new', 999_999),
      precision: choice(flags, 'precision', ['f32', 'int8']),
    } as const
    checkOutFile(out, switches)
    const meter = new Meter('generate')
    const { rows, tokens } = await generateFile(job, (done) =>
      meter.update(`${done.rows} answers, ${done.tokens} tokens`),
    ).finally(() => meter.end())
    show(call, { rows, tokens, out }, [`wrote ${rows} answers (${tokens} tokens) to ${out}`])
    return undefined
  },
}
