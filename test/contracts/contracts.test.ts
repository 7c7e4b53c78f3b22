/** Foundry's fuzz and invariant tests, few runs of each; `npm run test:contracts` makes many. */
import t from 'tap'
import { runForge } from './run.ts'

t.test('no contract that holds value ever owes more than it has', async (t) => {
  const { status, output } = runForge('default')
  t.equal(status, 0, output)
  t.match(output, /[1-9]\d* tests passed, 0 failed/)
})
