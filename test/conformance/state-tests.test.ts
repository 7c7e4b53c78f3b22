import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ARCHIVES, runArchive } from './state-tests.ts'

const TIMEOUT_MS = 300_000
/** A fortieth of the cases; the script runs them all. */
const EVERY = 40

t.setTimeout(TIMEOUT_MS)

for (const fork of ['prague', 'osaka']) {
  t.test(`a sample of ${fork}'s state tests passes`, { timeout: TIMEOUT_MS }, async (t) => {
    const archive = join(ARCHIVES, `${fork}.tar.xz`)
    if (!existsSync(archive)) {
      t.comment(`the tests are not on this machine (${archive}): nothing was run`)
      return
    }
    const { passed, blobs, refused, faults } = await runArchive(archive, { every: EVERY })
    t.same(faults, [])
    t.ok(passed > 150, `${passed} cases ran`)
    t.ok(blobs > 0, `${blobs} of them are blob transactions`)
    t.ok(refused > 0, `${refused} of them had to be refused`)
  })
}
