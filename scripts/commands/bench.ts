/** `openledger bench`: what the engine promises, measured here beside its peers. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { capabilities } from '../../native/index.ts'
import { benchInfluence } from '../bench/influence/index.ts'
import { benchScan } from '../bench/scan.ts'
import type { Command } from '../cli/command.ts'
import { count } from '../cli/flags.ts'
import { Meter } from '../cli/progress.ts'

/** Every part of the table, by name. */
const PARTS = ['scan', 'influence'] as const

export const benchEngine: Command = {
  name: 'bench engine',
  summary: 'Prints the table of speed and accuracy, peers beside us in the same run',
  args: '[part…]',
  flags: {
    cache: {
      value: 'DIR',
      help: 'where peers and retrained losses are kept',
      fallback: '~/.cache/openledger/bench',
    },
    masks: { value: 'N', help: 'retrained halves of each kind', fallback: '64' },
    seeds: { value: 'N', help: 'adapters of each half', fallback: '2' },
    rows: { value: 'N', help: 'sketches of the scan', fallback: '1000000' },
  },
  notes: `Parts: ${PARTS.join(', ')}; all of them when none is named. Peers come from PyPI into the cache folder; what cannot be had is named. Run it alone on a quiet machine: the whole takes about 40 minutes on two cores.`,
  run: async ({ args, flags }) => {
    const { simd, threads, kernelSet } = capabilities()
    process.stdout.write(`kernel set ${kernelSet}, ${simd}, ${threads} threads\n`)
    const folder = flags.cache ?? ''
    const cache = folder.startsWith('~/') ? join(homedir(), folder.slice(2)) : folder
    const meter = new Meter('bench')
    const told = (text: string): void => meter.update(text)
    const wanted = args.length > 0 ? args : PARTS
    for (const part of wanted) {
      if (part === 'scan') {
        const rows = count(flags, 'rows', 16_000_000)
        process.stdout.write(`${await benchScan({ cache, rows, told })}\n\n`)
      } else if (part === 'influence') {
        const [masks, seeds] = [count(flags, 'masks', 1000, 3), count(flags, 'seeds', 10)]
        process.stdout.write(`${await benchInfluence({ cache, masks, seeds, told })}\n\n`)
      } else {
        process.stdout.write(`no part is called '${part}'; known: ${PARTS.join(', ')}\n`)
        return 2
      }
    }
    meter.end()
    return undefined
  },
}
