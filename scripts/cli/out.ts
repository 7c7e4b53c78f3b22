/**
 * Where a command of plain files may write, one rule for all of them: what is there is never overwritten unless
 * the user says --force. Looked at before the work begins, so that a wrong --out costs nothing.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { userError } from '../../node/base/errors.ts'
import type { Call, FlagSpec } from './command.ts'

export const FORCE_FLAG: Readonly<Record<string, FlagSpec>> = {
  force: { help: 'overwrite what is at --out; without it that is refused' },
}

const CHECKPOINT = /^checkpoint-\d+$/
const ADAPTER = 'adapter_model.safetensors'

/** @throws NodeError `usage` when a file is there and --force is not, or what is there is no file */
export function checkOutFile(out: string, switches: Call['switches']): void {
  if (!existsSync(out)) return
  if (!statSync(out).isFile()) throw userError('usage', `--out ${out} is there and is no file`)
  if (!switches.has('force')) {
    throw userError(
      'usage',
      `--out ${out} exists; name another file, or say --force to overwrite it`,
    )
  }
}

/** A directory for an adapter: new, empty, to go on in (--resume) or to overwrite. @throws NodeError `usage` */
export function checkOutDirectory(out: string, switches: Call['switches']): void {
  if (!existsSync(out)) return
  if (!statSync(out).isDirectory()) {
    throw userError('usage', `--out ${out} is there and is no directory`)
  }
  const names = readdirSync(out)
  if (names.length === 0) return
  if (switches.has('resume')) {
    if (names.some((name) => CHECKPOINT.test(name)) || !names.includes(ADAPTER)) return
    throw userError(
      'usage',
      `--out ${out} holds an adapter and no checkpoint to resume from; name another directory, or say --force instead of --resume to train anew`,
    )
  }
  if (switches.has('force')) return
  throw userError(
    'usage',
    `--out ${out} is not empty; name another directory, or say --resume to go on with its run or --force to overwrite it`,
  )
}
