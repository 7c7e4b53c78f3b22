/**
 * The data directory of a plain Ethereum chain: the database every node has, and beside it the
 * `genesis.json` it was made from, so that the chain can be opened by the directory alone.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { Store } from '../store/store.ts'
import { EthereumChain } from './chain.ts'
import { genesisError } from './errors.ts'
import { readGenesis } from './genesis.ts'

export type EthereumDirectory = {
  readonly chain: EthereumChain
  readonly store: Store
}

const GENESIS = 'genesis.json'

/** `genesis`: a file to begin a chain from, or to compare with the chain that is there; absent: the
 * directory's own. @throws NodeError genesis, store-* */
export async function openEthereumDirectory(args: {
  dataDir: string
  genesis?: string
  log: Log
}): Promise<EthereumDirectory> {
  const { dataDir, log } = args
  const own = join(dataDir, GENESIS)
  if (!args.genesis && !existsSync(own)) {
    throw genesisError(
      `${dataDir} holds no imported chain; begin one: openledger import --datadir ${dataDir} --genesis FILE --chain FILE`,
    )
  }
  const path = args.genesis ?? own
  const text = await readFile(path, 'utf8').catch((error) => {
    throw genesisError(`cannot read ${path}: ${messageOf(error)}`)
  })
  const genesis = await readGenesis(text)
  await mkdir(dataDir, { recursive: true })
  const store = await Store.open(join(dataDir, 'db'))
  try {
    const chain = await EthereumChain.open({ genesis, store, log })
    if (args.genesis && !existsSync(own)) await copyFile(args.genesis, own)
    return { chain, store }
  } catch (error) {
    await store.close()
    throw error
  }
}
