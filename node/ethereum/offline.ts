/**
 * An imported chain served: JSON-RPC, a pool in which sent transactions wait for ever, nothing else. No L1, no
 * peers, no blocks to come.
 */
import type { Log } from '../base/log.ts'
import { VERSION } from '../base/version.ts'
import { blobVersionedHash } from '../l1/kzg.ts'
import { poolHeadOf } from '../mempool/head.ts'
import { Mempool } from '../mempool/pool.ts'
import { RpcServer } from '../rpc/server.ts'
import { openEthereumDirectory } from './directory.ts'
import { ethereumMethods } from './methods.ts'
import { openBlobTransaction } from './sidecar.ts'

const BLOB_BYTES = 131_072

export type OfflineNode = { readonly url: string; stop(): Promise<void> }

export async function startOffline(args: {
  dataDir: string
  host: string
  port: number
  log: Log
}): Promise<OfflineNode> {
  const { dataDir, host, port, log } = args
  const { chain, store } = await openEthereumDirectory({ dataDir, log })
  // The trusted setup takes seconds to load: the first blob transaction shall not wait for it.
  await blobVersionedHash(new Uint8Array(BLOB_BYTES))
  const pool = new Mempool(
    {},
    { chainId: chain.rules.chainId, head: poolHeadOf(chain), now: () => Date.now() / 1000 },
  )
  const rpc = new RpcServer(
    {},
    {
      chain,
      pool,
      log,
      clientVersion: `openledger/${VERSION}`,
      openTransaction: openBlobTransaction,
      methods: [ethereumMethods({ chain, pool })],
    },
  )
  const { url } = await rpc.listen({ host, port })
  log.info('offline', { dataDir, head: chain.headRef('unsafe').number })
  return {
    url,
    stop: async () => {
      await rpc.close()
      await store.close()
    },
  }
}
