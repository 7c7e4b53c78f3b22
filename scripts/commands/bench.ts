/** `openledger bench`: what the engine promises, measured here beside its peers. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { capabilities } from '../../native/index.ts'
import { userError } from '../../node/base/errors.ts'
import { benchInfluence, type Told } from '../bench/influence/index.ts'
import { benchPolicy } from '../bench/influence/policy.ts'
import { benchScan } from '../bench/scan.ts'
import type { Call, Command } from '../cli/command.ts'
import { count } from '../cli/flags.ts'
import { Meter } from '../cli/progress.ts'
import { show } from '../cli/result.ts'

type Part = (call: Call, cache: string, told: Told) => Promise<string>

/** Every part of the table, by name. */
const PARTS: ReadonlyMap<string, Part> = new Map<string, Part>([
  [
    'scan',
    ({ flags }, cache, told) => benchScan({ cache, rows: count(flags, 'rows', 16_000_000), told }),
  ],
  [
    'influence',
    ({ flags }, cache, told) => {
      const [masks, seeds] = [count(flags, 'masks', 1000, 3), count(flags, 'seeds', 10)]
      return benchInfluence({ cache, masks, seeds, told })
    },
  ],
  [
    'policy',
    ({ flags, switches }, cache, told) => {
      const size = {
        contributors: count(flags, 'contributors', 30, 2),
        rows: count(flags, 'contributor-rows', 60, 7),
      }
      const [masks, seeds] = [count(flags, 'masks', 1000, 3), count(flags, 'seeds', 10)]
      return benchPolicy({
        cache,
        masks,
        seeds,
        size,
        planted: count(flags, 'planted', 10_000),
        withPeers: !switches.has('no-peers'),
        told,
      })
    },
  ],
])
const NAMES = [...PARTS.keys()]

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
    contributors: { value: 'N', help: 'contributors of the policy part', fallback: '8' },
    'contributor-rows': { value: 'N', help: 'rows of each, two of them queries', fallback: '14' },
    planted: { value: 'N', help: 'answers with a planted row', fallback: '200' },
    'no-peers': { help: 'policy: ours alone, nothing from PyPI' },
    json: { help: 'as JSON, a line for the conditions and one for each part' },
  },
  notes: `Parts: ${NAMES.join(', ')}; all of them when none is named. Peers come from PyPI into the cache folder; what cannot be had is named. Run it alone on a quiet machine: the whole takes about 40 minutes on two cores.`,
  run: async (call) => {
    const { args, flags } = call
    const names = args.length > 0 ? args : NAMES
    const parts = names.map((name) => {
      const part = PARTS.get(name)
      if (part === undefined) {
        throw userError('usage', `no part is called '${name}'; known: ${NAMES.join(', ')}`)
      }
      return part
    })
    const { simd, threads, kernelSet } = capabilities()
    const folder = flags.cache ?? ''
    const cache = folder.startsWith('~/') ? join(homedir(), folder.slice(2)) : folder
    const meter = new Meter('bench')
    const told: Told = (text, part) => meter.update(text, part)
    show(call, { kernelSet, simd, threads }, [
      `kernel set ${kernelSet}, ${simd}, ${threads} threads`,
    ])
    try {
      // Each as it is done: the whole takes long.
      for (const [i, part] of parts.entries()) {
        const table = await part(call, cache, told)
        show(call, { part: names[i], table }, [`${table}\n`])
      }
    } finally {
      meter.end()
    }
    return undefined
  },
}
