import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runSuite, SUITE } from './execution-apis.ts'

const TIMEOUT_MS = 300_000

t.setTimeout(TIMEOUT_MS)
t.test(
  'the JSON-RPC suite of execution-apis answers as recorded',
  { timeout: TIMEOUT_MS },
  async (t) => {
    if (!existsSync(join(SUITE, 'tests'))) {
      t.comment(`the suite is not on this machine (${SUITE}): nothing was compared`)
      return
    }
    // A busy machine may be slow; the script keeps hive's limit.
    const results = await runSuite(SUITE, { timeoutMs: 60_000 })
    t.equal(results.length, 232, 'every case ran')
    const faults = results.filter(({ fault }) => fault !== null)
    t.same(
      faults.map(({ name, fault }) => `${name}: ${fault}`),
      [],
    )
  },
)
