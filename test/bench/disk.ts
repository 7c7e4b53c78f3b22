/**
 * What a transfer costs on disk, by table and altogether: transfers of a hundred accounts to new ones, so many in
 * a block, through the real executor into the real store. geth's figure for the same load comes from
 * `transfers.ts`, which prints bytes of disk for both in one run.
 *
 *   node test/bench/disk.ts [--transfers 100000] [--each 5000]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { inventory } from '../../node/store/inventory.ts'
import { Store } from '../../node/store/store.ts'
import { startL1 } from '../../scripts/devnet/stack.ts'
import { conditions } from './conditions.ts'
import { datedConfig, makeHistory } from './history.ts'
import { sizeOf } from './systems.ts'

const { values } = parseArgs({
  options: {
    transfers: { type: 'string', default: '100000' },
    each: { type: 'string', default: '5000' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) console.log('--transfers 100000  altogether\n--each 5000         in a block')
else await main(Number(values.transfers), Number(values.each))

async function main(transfers: number, each: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'openledger-disk-'))
  const { l1, config } = await startL1(dir, { l1: 0, sequencer: 0, validator: 0 })
  await l1.stop()
  try {
    const blocks = Math.ceil(transfers / each) + 1
    const own = await datedConfig(dir, config, blocks)
    const path = join(dir, 'db')
    const rest = { unsafe: 1, recipients: 0, isSigned: true }
    // What the chain is born with does not count.
    await makeHistory(path, own, { ...rest, blocks: 1, transfersPerBlock: 0 })
    const before = { bytes: sizeOf(path), tables: await tables(path) }
    rmSync(path, { recursive: true })
    await makeHistory(path, own, { ...rest, blocks, transfersPerBlock: each })
    // Opening it again turns the log into tables.
    const after = { tables: await tables(path), bytes: sizeOf(path) }
    console.log(conditions({ transfers, 'in a block': each }))
    console.log('| table | rows | bytes a transfer, before LevelDB compresses |')
    console.log('| --- | --- | --- |')
    for (const [table, { rows, bytes }] of after.tables) {
      const own = bytes - (before.tables.get(table)?.bytes ?? 0)
      if (own > transfers) console.log(`| ${table} | ${rows} | ${(own / transfers).toFixed(1)} |`)
    }
    const perTransfer = (after.bytes - before.bytes) / transfers
    console.log(`on disk: ${perTransfer.toFixed(0)} bytes a transfer`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function tables(path: string): Promise<Map<string, { rows: number; bytes: number }>> {
  const store = await Store.open(path)
  try {
    const sizes = await inventory(store.database)
    return new Map(
      sizes.map(({ table, rows, keyBytes, valueBytes }) => [
        table,
        { rows, bytes: keyBytes + valueBytes },
      ]),
    )
  } finally {
    await store.close()
  }
}
