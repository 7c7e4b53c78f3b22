import { existsSync } from 'node:fs'
import t from 'tap'
import { runDerivationVectors, VECTORS_FOLDER } from './derivation.ts'

const skip = existsSync(VECTORS_FOLDER)
  ? false
  : `the public vectors are absent (${VECTORS_FOLDER}); some of them stand in test/vectors`

t.test('every public derivation vector decodes byte for byte', { skip }, async (t) => {
  const outcomes = runDerivationVectors(VECTORS_FOLDER)
  for (const { name, checked, left } of outcomes) {
    t.ok(checked + left.length > 0, [name, `${checked} checked`, ...left].join('; '))
  }
  const checked = outcomes.reduce((sum, outcome) => sum + outcome.checked, 0)
  t.ok(checked >= 45, `${checked} vectors`)
})
