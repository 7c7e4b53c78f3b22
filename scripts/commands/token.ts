/** `openledger token`: a token for the admin server, for use in a shell. */
import { join } from 'node:path'
import { createToken, loadJwtSecret } from '../../node/monitor/jwt.ts'
import type { Command } from '../cli/command.ts'
import { JSON_FLAG, show } from '../cli/result.ts'

export const token: Command = {
  name: 'token',
  summary: 'Makes a token for the admin server; it is good for a minute',
  flags: JSON_FLAG,
  options: ['node', 'operation'],
  notes: `Example:
  curl -H "Authorization: Bearer $(openledger token)" -H 'content-type: application/json' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"admin_logLevels"}' http://127.0.0.1:9547`,
  run: async (call) => {
    const { jwtSecret, dataDir } = call.configure().options
    const secret = loadJwtSecret(jwtSecret ?? join(dataDir, 'jwt.hex'))
    const made = createToken(secret, Date.now() / 1000)
    show(call, { token: made }, [made])
    return undefined
  },
}
