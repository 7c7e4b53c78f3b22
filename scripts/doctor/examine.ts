/**
 * The examination: each check looks at one thing and says what it found and, if that is not well, how to
 * mend it. Checks change nothing and do not stop each other.
 */

import { readFileSync } from 'node:fs'
import { type ChainConfig, decodeChainConfig } from '../../genesis/chain.ts'
import { messageOf } from '../../node/base/errors.ts'
import type { NodeOptions } from '../../node/options.ts'
import { examineKeys } from './keys.ts'
import { examineL1 } from './l1.ts'
import { examineMachine } from './machine.ts'
import { examineStorage } from './storage.ts'

export type Finding = {
  readonly name: string
  readonly state: 'ok' | 'warn' | 'wrong'
  readonly detail: string
  /** What to do; on every finding that is not ok. */
  readonly remedy?: string
}

/** The page of a finding (`openledger errors CODE`); names such as 'p2p port' and 'batcher key' share one. */
export function codeOf({ name }: Pick<Finding, 'name'>): string {
  const kind = /(port|key)$/.exec(name)?.[1] ?? (name === 'l1' ? 'l1-rpc' : name)
  return `doctor-${kind.replaceAll(' ', '-')}`
}

export const ok = (name: string, detail: string): Finding => ({ name, state: 'ok', detail })
export const warn = (name: string, detail: string, remedy: string): Finding => ({
  name,
  state: 'warn',
  detail,
  remedy,
})
export const wrong = (name: string, detail: string, remedy: string): Finding => ({
  name,
  state: 'wrong',
  detail,
  remedy,
})

export async function examine(options: NodeOptions): Promise<Finding[]> {
  const { config, finding } = readConfig(options.rollup)
  const groups = await Promise.all([
    examineMachine(options),
    examineStorage(options, config),
    examineKeys(options, config),
    examineL1(options, config),
  ])
  return [finding, ...groups.flat()]
}

function readConfig(path: string): { config: ChainConfig | null; finding: Finding } {
  try {
    const config = decodeChainConfig(readFileSync(path, 'utf8'))
    const detail = `chain ${config.l2ChainId} on L1 ${config.l1ChainId} (${path})`
    return { config, finding: ok('rollup', detail) }
  } catch (error) {
    const remedy = "give --rollup the file of the network, or run 'openledger init'"
    const detail = `cannot use ${path}: ${messageOf(error)}`
    return { config: null, finding: wrong('rollup', detail, remedy) }
  }
}
