/** `openledger train`: fine-tunes a LoRA adapter from plain files. */
import { LORA_TARGETS } from '../../native/index.ts'
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'
import { choice, count, need, quantity } from '../cli/flags.ts'
import { checkOutDirectory, FORCE_FLAG } from '../cli/out.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'
import { trainFile } from '../train.ts'

const STEPS_MAX = 1_000_000_000

export const trainAdapter: Command = {
  name: 'train',
  summary: 'Fine-tunes a LoRA adapter from plain files into a PEFT directory',
  flags: {
    base: { value: 'PATH', help: 'a GGUF file or a Hugging Face directory' },
    train: { value: 'FILE', help: 'JSON lines {id, text, tokens?}; each row is a sample' },
    out: { value: 'DIR', help: 'the PEFT directory; checkpoints go inside it' },
    rank: { value: 'N', help: 'LoRA rank', fallback: '8' },
    alpha: { value: 'X', help: 'LoRA alpha', fallback: '16' },
    rslora: { help: 'scale alpha / sqrt(rank) instead of alpha / rank' },
    targets: { value: 'NAME,…', help: 'linear maps', fallback: LORA_TARGETS.join(',') },
    epochs: { value: 'N', help: 'passes over the rows', fallback: '1' },
    batch: { value: 'N', help: 'rows held at once', fallback: '8' },
    accumulate: { value: 'N', help: 'batches of one step', fallback: '1' },
    'max-tokens': { value: 'N', help: 'longer rows are cut here', fallback: '512' },
    optimizer: { value: 'KIND', help: 'adamw or sgd', fallback: 'adamw' },
    rate: { value: 'X', help: 'peak learning rate', fallback: '0.001' },
    'rate-floor': { value: 'X', help: 'where the cosine ends', fallback: '0' },
    warmup: { value: 'N', help: 'steps of linear warm-up', fallback: '0' },
    decay: { value: 'X', help: 'decoupled weight decay', fallback: '0' },
    clip: { value: 'X', help: 'longest gradient; 0 is never', fallback: '1' },
    seed: { value: 'N', help: 'of the first factors and the order of the rows', fallback: '0' },
    evaluate: { value: 'FILE', help: 'rows that are evaluated, not trained on' },
    'evaluate-part': { value: 'X', help: 'or a part of --train set apart, below 1' },
    'evaluate-every': { value: 'N', help: 'steps between evaluations', fallback: 'an epoch' },
    patience: { value: 'N', help: 'evaluations without a lower loss before it stops' },
    'checkpoint-every': { value: 'N', help: 'steps between checkpoints', fallback: 'an epoch' },
    'no-checkpoints': { help: 'write the final adapter only' },
    resume: { help: 'go on from the newest checkpoint in --out: same final bytes' },
    ...FORCE_FLAG,
    ...JSON_FLAG,
  },
  notes:
    'Token ids win over text, and nothing is added to them. The same base, rows and settings give the same adapter to the byte.',
  run: async (call) => {
    const { flags, switches } = call
    if (flags.evaluate !== undefined && flags['evaluate-part'] !== undefined) {
      throw userError('usage', '--evaluate and --evaluate-part exclude each other')
    }
    const every = (name: string): number =>
      flags[name] === 'an epoch' ? 0 : count(flags, name, STEPS_MAX)
    const [batch, accumulate] = [count(flags, 'batch', 1024), count(flags, 'accumulate', 1024)]
    const out = need(flags, 'out')
    checkOutDirectory(out, switches)
    const meter = new Meter('train')
    const started = performance.now()
    let first: number | undefined
    const { rows, evaluated, steps, finalLoss, best } = await trainFile(
      {
        base: need(flags, 'base'),
        train: need(flags, 'train'),
        out,
        replace: switches.has('force'),
        evaluation: flags.evaluate ?? evaluationPart(flags),
        maxTokens: count(flags, 'max-tokens', 2048, 2),
        config: {
          rank: count(flags, 'rank', 256),
          alpha: quantity(flags, 'alpha'),
          rslora: switches.has('rslora'),
          targets: need(flags, 'targets').split(','),
          epochs: count(flags, 'epochs', 1_000_000),
          batch: batch * accumulate,
          optimizer: choice(flags, 'optimizer', ['adamw', 'sgd']),
          learningRate: quantity(flags, 'rate'),
          learningRateFloor: quantity(flags, 'rate-floor'),
          warmupSteps: count(flags, 'warmup', STEPS_MAX, 0),
          weightDecay: quantity(flags, 'decay'),
          clip: quantity(flags, 'clip'),
          seed: BigInt(count(flags, 'seed', Number.MAX_SAFE_INTEGER, 0)),
        },
        run: {
          together: batch,
          evaluateEvery: every('evaluate-every'),
          patience: flags.patience === undefined ? 0 : count(flags, 'patience', 1_000_000),
          ...(switches.has('no-checkpoints') ? {} : { checkpointDir: out }),
          checkpointEvery: every('checkpoint-every'),
          resume: switches.has('resume'),
        },
      },
      ({ step, steps, loss, tokensPerSecond }) => {
        first ??= step - 1
        const seconds = (performance.now() - started) / 1000
        const left = (seconds / (step - first)) * (steps - step)
        meter.update(
          `step ${step} of ${steps}, loss ${loss.toFixed(3)}, ${tokensPerSecond.toFixed(0)} tokens/s, ${duration(left)} left`,
          step / steps,
        )
      },
    ).finally(() => meter.end())
    const set = evaluated > 0 ? `, ${evaluated} evaluated` : ''
    const lowest = best ? `; best evaluation ${best.loss.toFixed(4)} at step ${best.step}` : ''
    const last = Number.isNaN(finalLoss) ? '' : `, last loss ${finalLoss.toFixed(4)}`
    show(call, { rows, evaluated, steps, finalLoss, best, out }, [
      `trained on ${rows} rows${set}: ${steps} steps${last}${lowest}; wrote ${out}`,
    ])
    return undefined
  },
}

function evaluationPart(flags: Readonly<Record<string, string | undefined>>): number | undefined {
  if (flags['evaluate-part'] === undefined) return undefined
  const part = quantity(flags, 'evaluate-part')
  if (part >= 1) throw userError('usage', `--evaluate-part is ${part}; it must be below 1`)
  return part
}

function duration(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(0)} s`
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
