/**
 * Merged adapters: sum_i w_i * dW_i of the parents, exactly as one LoRA. With dW_i = s_i B_i A_i the factors are
 * set side by side, so nothing is approximated but one rounding to f32 of each entry of B:
 *
 *   A = [A_1; A_2; ...]    B = [w_1 s_1 B_1, w_2 s_2 B_2, ...]    rank = sum of ranks, alpha = rank (scale 1)
 *
 * A module that a parent does not adapt gets zeros for it. Integers and IEEE products only: the same
 * parents and weights give the same bytes on any machine.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LORA_TARGETS } from '../../native/index.ts'
import { userError } from '../base/errors.ts'
import { decodeTensors, encodeTensors, type Tensor } from './safetensors.ts'

const RANK_MAX = 256

type Part = {
  readonly rank: number
  readonly factor: number
  readonly targets: readonly string[]
  readonly tensors: ReadonlyMap<string, Tensor>
}

/** Writes the PEFT directory of the merge. @throws NodeError `merge` when the parents do not fit. */
export async function mergeAdapters(
  parents: readonly { readonly dir: string; readonly weight: number }[],
  out: { dir: string; baseName: string },
): Promise<void> {
  const parts: Part[] = []
  for (const { dir, weight } of parents) parts.push(await readPart(dir, weight))
  const rank = parts.reduce((sum, part) => sum + part.rank, 0)
  if (rank > RANK_MAX)
    throw userError('merge', `the parents' ranks add up to ${rank}; at most ${RANK_MAX}`)
  const modules = new Set(parts.flatMap(({ tensors }) => [...tensors.keys()].map(moduleOf)))
  const merged = new Map<string, Tensor>()
  for (const module of modules) {
    merged.set(`${module}.lora_A.weight`, stackRows(parts, `${module}.lora_A.weight`, rank))
    merged.set(`${module}.lora_B.weight`, stackColumns(parts, `${module}.lora_B.weight`, rank))
  }
  const used = new Set(parts.flatMap(({ targets }) => targets))
  const config = {
    alpha_pattern: {},
    base_model_name_or_path: out.baseName,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    lora_alpha: rank,
    lora_dropout: 0,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: {},
    target_modules: LORA_TARGETS.filter((target) => used.has(target)),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  }
  await mkdir(out.dir, { recursive: true })
  await writeFile(join(out.dir, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`)
  await writeFile(join(out.dir, 'adapter_model.safetensors'), encodeTensors(merged))
}

async function readPart(dir: string, weight: number): Promise<Part> {
  const config = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8')) as {
    r: number
    lora_alpha: number
    use_rslora?: boolean
    target_modules: string[]
  }
  const { r: rank, lora_alpha: alpha, use_rslora: rslora = false } = config
  const scale = alpha / (rslora ? Math.sqrt(rank) : rank)
  const tensors = decodeTensors(await readFile(join(dir, 'adapter_model.safetensors')))
  return { rank, factor: Math.fround(weight * scale), targets: config.target_modules, tensors }
}

function moduleOf(name: string): string {
  const found = name.match(/^(.*)\.lora_[AB]\.weight$/)
  if (!found) throw userError('merge', `the adapter has a tensor ${name}, which is not merged`)
  return found[1] as string
}

function stackRows(parts: readonly Part[], name: string, rank: number): Tensor {
  const width = widthOf(parts, name, 1)
  const data = new Float32Array(rank * width)
  let row = 0
  for (const { rank: own, tensors } of parts) {
    const tensor = tensors.get(name)
    if (tensor) data.set(tensor.data, row * width)
    row += own
  }
  return { shape: [rank, width], data }
}

function stackColumns(parts: readonly Part[], name: string, rank: number): Tensor {
  const height = widthOf(parts, name, 0)
  const data = new Float32Array(height * rank)
  let column = 0
  for (const { rank: own, factor, tensors } of parts) {
    const tensor = tensors.get(name)
    for (let i = 0; tensor && i < height; i++) {
      for (let j = 0; j < own; j++)
        data[i * rank + column + j] = Math.fround((tensor.data[i * own + j] as number) * factor)
    }
    column += own
  }
  return { shape: [height, rank], data }
}

function widthOf(parts: readonly Part[], name: string, axis: 0 | 1): number {
  const widths = new Set(parts.flatMap(({ tensors }) => tensors.get(name)?.shape[axis] ?? []))
  const [width, ...others] = widths
  if (width !== undefined && others.length === 0) return width
  throw userError('merge', `${name} has different shapes in the parents: ${[...widths].join(', ')}`)
}
