/**
 * The most memory that giving a file takes, whatever its size: rows are read, checked, hashed and cut into contributions as
 * `openledger datanet contribute` does it, each format in a process of its own; the chain is left out.
 *
 *   node test/bench/rows.ts [--mib 1024] [--formats jsonl,csv,text] [--file rows.parquet]
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { type Format, formatOf } from '../../node/datanet/read-rows.ts'
import { decodeSchema } from '../../node/datanet/schema.ts'
import { shardsOf } from '../../node/datanet/shards.ts'
import { conditions } from './conditions.ts'

const HELP = `usage: node test/bench/rows.ts [options]

  --mib N          size of each file that is made (1024)
  --formats LIST   of jsonl, csv, text (all)
  --file PATH      one file of yours instead, such as Parquet
  --dir PATH       where files are made (a temporary folder)
  --help
`
const MIB = 2 ** 20
const ROW_BYTES = 1_000
const LIMITS = { rowsMax: 10_000, rowBytesMax: 65_536 }

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    formats: { type: 'string', default: 'jsonl,csv,text' },
    file: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    /** Of the processes that this one starts. */
    read: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else if (values.read) await measure(values.read)
else await main()

async function main(): Promise<void> {
  process.stdout.write(`${conditions()}\n`)
  if (values.file) return report(values.file)
  const dir = mkdtempSync(join(values.dir, 'openledger-rows-'))
  try {
    for (const format of values.formats.split(',') as Format[]) {
      const path = join(dir, `rows.${format === 'text' ? 'txt' : format}`)
      await make(path, format, Number(values.mib) * MIB)
      report(path)
      rmSync(path)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function report(path: string): void {
  const args = [import.meta.filename, '--read', path]
  process.stdout.write(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

/** Every row another. */
async function make(path: string, format: Format, size: number): Promise<void> {
  const out = createWriteStream(path)
  if (format === 'csv') out.write('text,year\n')
  for (let written = 0, i = 0; written < size; i++) {
    const text = `Row ${i} says ${'so and so, '.repeat(ROW_BYTES / 11)}and ends.`
    const row =
      format === 'jsonl'
        ? `${JSON.stringify({ text })}\n`
        : format === 'csv'
          ? `"${text}",${1700 + (i % 300)}\n`
          : `${text}\n\n`
    written += row.length
    if (!out.write(row)) await once(out, 'drain')
  }
  out.end()
  await finished(out)
}

async function measure(path: string): Promise<void> {
  const before = process.memoryUsage.rss()
  let most = before
  const look = (): void => {
    most = Math.max(most, process.memoryUsage.rss())
  }
  const from = process.cpuUsage()
  const options = { format: formatOf(path), schema: decodeSchema(''), ...LIMITS, onBytes: look }
  const shards = shardsOf(path, options)
  let next = await shards.next()
  for (; !next.done; next = await shards.next()) look()
  const { rows, faults } = next.value
  const { user, system } = process.cpuUsage(from)
  const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`
  process.stdout.write(
    `${formatOf(path)}: ${mib(statSync(path).size)}, ${rows} rows, ${faults} faults; most memory (RSS) ${mib(most)}, ${mib(before)} before; ${((user + system) / 1e6).toFixed(1)} s of processor\n`,
  )
}
