/** A copy of the embedded base in which one entry of one matrix is another: what a provider computes with that lies. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BASE_DIR } from './factory.ts'

/** The operator it is of, and the column of its output that it makes wrong. */
export const CHANGED = { layer: 1, operator: 'down_proj', column: 70 } as const

const WEIGHT = `model.layers.${CHANGED.layer}.mlp.${CHANGED.operator}.weight`
/** Of the row; 4 in half precision. */
const [ENTRY, FOUR] = [5, 0x4400]

type Head = Record<string, { dtype: string; shape: [number, number]; data_offsets: number[] }>

/** Its directory, in `dir`. */
export function changedBase(dir: string): string {
  const target = join(dir, 'changed base')
  mkdirSync(target)
  cpSync(BASE_DIR, target, { recursive: true })
  const file = join(target, 'model.safetensors')
  const bytes = readFileSync(file)
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const tensor = (JSON.parse(bytes.toString('utf8', 8, start)) as Head)[WEIGHT]
  if (tensor?.dtype !== 'F16') throw new Error(`${WEIGHT} is stored as ${tensor?.dtype}`)
  const entry = CHANGED.column * tensor.shape[1] + ENTRY
  bytes.writeUInt16LE(FOUR, start + (tensor.data_offsets[0] as number) + 2 * entry)
  writeFileSync(file, bytes)
  return target
}
