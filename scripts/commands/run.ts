/** `openledger run`: a node in the role it is given. */
import { userError } from '../../node/base/errors.ts'
import { openKeystores } from '../../node/keys/resolve.ts'
import { passwordPrompt } from '../cli/ask.ts'
import { ALL_GROUPS, type Command } from '../cli/command.ts'
import { readChainConfig } from '../cli/files.ts'

export const run: Command = {
  name: 'run',
  summary: 'Runs a sequencer, a follower or a validator',
  options: ALL_GROUPS,
  notes: `When it is ready it writes one line of JSON to stdout: {"ready":true,"url":...,"p2p":...}.
SIGTERM or Ctrl-C stops it in good order; a second one ends it at once. SIGHUP opens the log file anew.`,
  run: async ({ configure }) => {
    const given = configure().options
    const options = await openKeystores(given, passwordPrompt())
    const config = readChainConfig(options.rollup)
    if (options.role === 'validator' && options.validatorKey === null) {
      throw userError(
        'options',
        'a validator needs a key to sign verdicts: set OPENLEDGER_VALIDATOR_KEY or --validator-keystore',
      )
    }
    const { runService } = await import('../service.ts')
    return runService(options, config)
  },
}
