import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { headerHash } from '../../../node/chain/block.ts'
import type { EthereumBlock } from '../../../node/chain/types.ts'
import { readChainFile, writeChainFile } from '../../../node/ethereum/chain-file.ts'
import { openEthereumDirectory } from '../../../node/ethereum/directory.ts'
import { exportChainFile } from '../../../node/ethereum/export.ts'
import { type ImportProgress, importChainFile } from '../../../node/ethereum/import.ts'
import { startOffline } from '../../../node/ethereum/offline.ts'
import { Store } from '../../../node/store/store.ts'
import { extend as extendRollup, openTestChain } from '../../support/chain.ts'
import { extendThroughForks, genesisJson, OMMER_MINER, openWorld } from './world.ts'

type Files = {
  readonly dir: string
  readonly genesis: string
  readonly file: string
  readonly blocks: readonly EthereumBlock[]
}

/** A chain of seven blocks as files. */
async function filesOf(t: Test): Promise<Files> {
  const dir = t.testdir()
  const genesis = join(dir, 'genesis.json')
  const file = join(dir, 'chain.rlp')
  writeFileSync(genesis, JSON.stringify(genesisJson))
  const { chain, store } = await openWorld(join(dir, 'source'))
  await extendThroughForks(chain)
  const blocks = [1n, 2n, 3n, 4n, 5n, 6n, 7n].map((n) => chain.blockByNumber(n) as EthereumBlock)
  await writeChainFile(file, blocks)
  await store.close()
  return { dir, genesis, file, blocks }
}

/** Imports as the command does: opens, runs, closes. */
async function importInto(
  { dir, genesis }: Pick<Files, 'dir' | 'genesis'>,
  file: string,
): Promise<ImportProgress> {
  const dataDir = join(dir, 'data')
  const { chain, store } = await openEthereumDirectory({ dataDir, genesis, log: silentLog })
  try {
    return await importChainFile(chain, file, () => {})
  } finally {
    await store.close()
  }
}

t.test('a file is imported once, and again without work', async (t) => {
  const files = await filesOf(t)
  t.match(await importInto(files, files.file), { number: 7n, imported: 7, known: 0 })
  const again = await importInto(files, files.file)
  t.match(again, { number: 7n, imported: 0, known: 7, offset: statSync(files.file).size })
})

t.test('an import that was cut short goes on where it stopped', async (t) => {
  const files = await filesOf(t)
  const part = join(files.dir, 'part.rlp')
  await writeChainFile(part, files.blocks.slice(0, 3))
  t.match(await importInto(files, part), { imported: 3 })
  t.match(await importInto(files, files.file), { number: 7n, imported: 4, known: 3 })
})

t.test('a bad block ends the import by number and field; what came before stays', async (t) => {
  const files = await filesOf(t)
  const [first, second, third] = files.blocks as [EthereumBlock, EthereumBlock, EthereumBlock]
  const header = { ...second.header, stateRoot: first.header.stateRoot }
  const bad = { ...second, header, hash: headerHash(header) }
  const file = join(files.dir, 'bad.rlp')
  await writeChainFile(file, [first, bad, third])
  await t.rejects(importInto(files, file), {
    code: 'chain-file',
    message: /^block 2 \(0x.*\) is not valid: stateRoot is 0x.*, execution gives 0x/,
  })
  t.match(await importInto(files, files.file), { imported: 6, known: 1 })
})

t.test('an export gives the file back, whole or in part, of a rollup too', async (t) => {
  const files = await filesOf(t)
  await importInto(files, files.file)
  const store = await Store.open(join(files.dir, 'data', 'db'))
  const out = join(files.dir, 'out.rlp')
  t.same(await exportChainFile(store, { path: out }), { from: 1n, to: 7n })
  t.same(readFileSync(out), readFileSync(files.file))
  await exportChainFile(store, { path: out, from: 3n, to: 4n })
  const numbers = []
  for await (const { block } of readChainFile(out)) numbers.push(block.header.number)
  t.same(numbers, [3n, 4n])
  await t.rejects(
    exportChainFile(store, { path: out, to: 8n }),
    /blocks 1 to 8: the chain has 0 to 7/,
  )
  await store.close()

  const rollup = await openTestChain(join(files.dir, 'rollup'))
  const { block } = await extendRollup(rollup.chain)
  await exportChainFile(rollup.store, { path: out })
  for await (const read of readChainFile(out)) t.equal(read.block.hash, block.hash)
  await rollup.close()
})

t.test('a gap in the chain is named', async (t) => {
  const files = await filesOf(t)
  const file = join(files.dir, 'gap.rlp')
  await writeChainFile(file, [files.blocks[0] as EthereumBlock, files.blocks[2] as EthereumBlock])
  await t.rejects(importInto(files, file), /^block 3 .* the head is block 1/)
})

t.test('a file that is cut or damaged says at which byte', async (t) => {
  const { dir, file } = await filesOf(t)
  const bytes = readFileSync(file)
  const readAll = async (content: Uint8Array): Promise<number> => {
    const path = join(dir, 'damaged.rlp')
    writeFileSync(path, content)
    let count = 0
    for await (const _ of readChainFile(path)) count++
    return count
  }
  t.equal(await readAll(bytes), 7)
  t.equal(await readAll(new Uint8Array(0)), 0)
  await t.rejects(readAll(bytes.subarray(0, -1)), /at byte \d+: the file ends inside a block/)
  await t.rejects(readAll(Uint8Array.of(...bytes, 0x80)), /at byte \d+: block is not a list/)
  const huge = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
  await t.rejects(readAll(huge), /a block of \d+ bytes, at most/)
  await t.rejects(readAll(Uint8Array.of(0xc1, 0xc0)), { code: 'chain-file' })
  await t.rejects(importInto({ dir, genesis: join(dir, 'genesis.json') }, join(dir, 'no')), {
    code: 'chain-file',
  })
})

t.test('a directory keeps its genesis: another is refused, none is enough', async (t) => {
  const files = await filesOf(t)
  await importInto(files, files.file)
  const other = join(files.dir, 'other.json')
  writeFileSync(other, JSON.stringify({ ...genesisJson, timestamp: '0x1' }))
  await t.rejects(importInto({ ...files, genesis: other }, files.file), {
    code: 'store-other-chain',
  })
  const dataDir = join(files.dir, 'data')
  const { chain, store } = await openEthereumDirectory({ dataDir, log: silentLog })
  t.equal(chain.headRef('unsafe').number, 7n)
  await store.close()
  const empty = join(files.dir, 'empty')
  await t.rejects(
    openEthereumDirectory({ dataDir: empty, log: silentLog }),
    /holds no imported chain; begin one: openledger import/,
  )
})

t.test('an imported chain answers JSON-RPC: old blocks look old, new ones new', async (t) => {
  const files = await filesOf(t)
  await importInto(files, files.file)
  const dataDir = join(files.dir, 'data')
  const node = await startOffline({ dataDir, host: '127.0.0.1', port: 0, log: silentLog })
  t.teardown(() => node.stop())
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(node.url, { method: 'POST', headers, body })
    const { result, error } = (await answer.json()) as { result: unknown; error?: unknown }
    return error ?? result
  }
  t.equal(await ask('eth_chainId'), '0x7')
  t.equal(await ask('eth_blockNumber'), '0x7')
  const old = (await ask('eth_getBlockByNumber', '0x1', true)) as Record<string, unknown>
  t.match(old, { difficulty: '0x20000', uncles: [] })
  t.notOk('baseFeePerGas' in old || 'withdrawals' in old)
  t.match(await ask('eth_getBlockByNumber', 'safe', false), { number: '0x7', withdrawals: [] })
  t.match(await ask('eth_getBlockReceipts', '0x5'), [{ type: '0x3', blobGasPrice: '0x1' }])
  t.equal(await ask('eth_getUncleCountByBlockNumber', '0x2'), '0x1')
  t.match(await ask('eth_getUncleByBlockNumberAndIndex', '0x2', '0x0'), {
    number: '0x1',
    miner: OMMER_MINER,
  })
  t.equal(await ask('eth_getUncleByBlockNumberAndIndex', '0x2', '0x1'), null)
  t.match(await ask('eth_feeHistory', '0x4', '0x6', []), {
    oldestBlock: '0x3',
    baseFeePerBlobGas: ['0x1', '0x1', '0x1', '0x1', '0x1'],
    blobGasUsedRatio: [0, 0, 1 / 6, 0],
  })
  t.match(await ask('eth_config'), { current: { activationTime: 70 }, next: null })
  t.match(await ask('optimism_syncStatus'), { code: -32601 })
})
