/** Files that commands read. */
import { readFileSync } from 'node:fs'
import { type ChainConfig, decodeChainConfig } from '../../genesis/chain.ts'
import { messageOf, userError } from '../../node/base/errors.ts'

/** @throws NodeError `options` naming the file and what is wrong with it. */
export function readChainConfig(path: string): ChainConfig {
  try {
    return decodeChainConfig(readFileSync(path, 'utf8'))
  } catch (error) {
    throw userError(
      'options',
      `cannot use the chain configuration ${path} (--rollup): ${messageOf(error)}`,
    )
  }
}
