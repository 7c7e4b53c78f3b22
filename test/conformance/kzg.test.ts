import { existsSync } from 'node:fs'
import t from 'tap'
import { ARCHIVE, runKzg } from './kzg.ts'

const TIMEOUT_MS = 300_000
/** 344, but for those of two functions that the library keeps to itself. */
const VECTORS = 325

t.setTimeout(TIMEOUT_MS)

t.test(
  "the KZG library and ours agree with c-kzg's vectors",
  { timeout: TIMEOUT_MS },
  async (t) => {
    if (!existsSync(ARCHIVE)) {
      t.comment(`the vectors are not on this machine (${ARCHIVE}): nothing was compared`)
      return
    }
    const counts = await runKzg()
    t.same(
      counts.flatMap(({ name, faults }) => faults.map((fault) => `${name}/${fault}`)),
      [],
    )
    const native = counts.filter(({ name }) => !name.endsWith('(ours)'))
    t.equal(
      native.reduce((sum, { passed }) => sum + passed, 0),
      VECTORS,
    )
  },
)
