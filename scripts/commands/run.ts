/** `openledger run`: a node in the role it is given; or, offline, an imported chain served. */
import { userError } from '../../node/base/errors.ts'
import { missingKey, openKeystores, optionalSigner } from '../../node/keys/resolve.ts'
import { passwordPrompt } from '../cli/ask.ts'
import { ALL_GROUPS, type Command } from '../cli/command.ts'
import { readChainConfig } from '../cli/files.ts'

export const run: Command = {
  name: 'run',
  summary: 'Runs a sequencer, a follower or a validator; with --offline serves an imported chain',
  flags: { offline: { help: 'answer JSON-RPC from an imported chain: no role, no L1, no peers' } },
  options: ALL_GROUPS,
  notes: `When it is ready it writes one line of JSON to stdout: {"ready":true,"url":...,"p2p":...}.
SIGTERM or Ctrl-C stops it in good order; a second one ends it at once. SIGHUP opens the log file anew.`,
  run: async ({ configure, switches }) => {
    const given = configure().options
    if (switches.has('offline')) {
      const { runOffline } = await import('../service.ts')
      return runOffline(given)
    }
    const options = await openKeystores(given, passwordPrompt())
    const config = readChainConfig(options.rollup)
    if (options.role === 'validator' && !optionalSigner('validator', options)) {
      throw userError('options', missingKey('validator'))
    }
    const { runNode } = await import('../service.ts')
    return runNode(options, config)
  },
}
