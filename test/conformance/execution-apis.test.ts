import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runSuite, SUITE } from './execution-apis.ts'

t.test('the JSON-RPC suite of execution-apis answers as recorded', async (t) => {
  if (!existsSync(join(SUITE, 'tests'))) {
    t.comment(`the suite is not on this machine (${SUITE}): nothing was compared`)
    return
  }
  const results = await runSuite()
  t.equal(results.length, 232, 'every case ran')
  const faults = results.filter(({ fault }) => fault !== null)
  t.same(
    faults.map(({ name, fault }) => `${name}: ${fault}`),
    [],
  )
})
