/** `openledger devnet`: the whole economy on one machine (`scripts/devnet/`). */
import { userError } from '../../node/base/errors.ts'
import type { Command } from '../cli/command.ts'

export const devnet: Command = {
  name: 'devnet',
  summary:
    'Runs an L1, a sequencer and a validator here, with one paid, attributed, verified inference',
  flags: {
    exit: { help: 'end after the verdict: status 0 when everything agreed, 1 when not' },
    rows: { value: 'N', help: 'rows per author in the demonstration Datanet', fallback: '10' },
    dir: { value: 'DIR', help: 'folder of the devnet; emptied at start', fallback: '.devnet' },
  },
  run: async ({ flags, switches }) => {
    const { rows = '', dir = '' } = flags
    if (!/^[1-9]\d{0,3}$/.test(rows))
      throw userError('usage', `--rows is '${rows}'; it must be 1 to 9999`)
    const { runDevnet } = await import('../devnet/main.ts')
    await runDevnet({ exit: switches.has('exit'), rowsPerAuthor: Number(rows), dir })
    return undefined
  },
}
