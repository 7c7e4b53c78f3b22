import { readFileSync } from 'node:fs'
import t from 'tap'
import * as contracts from '../../genesis/contracts.generated.ts'
import { sourcesDigest } from '../../scripts/compile-contracts.ts'

/** EIP-170 and EIP-3860. */
const CODE_BYTES_MAX = 24_576
const INITCODE_BYTES_MAX = 49_152

t.test('the committed artefact was made from the sources as they are', async (t) => {
  const text = readFileSync(
    new URL('../../genesis/contracts.generated.ts', import.meta.url),
    'utf8',
  )
  const named = /^\/\/ sources ([0-9a-f]{64})$/m.exec(text)?.[1]
  t.equal(named, sourcesDigest(), 'stale: npm run build:contracts')
})

t.test('every contract fits the limits of the EVM', async (t) => {
  for (const [name, contract] of Object.entries(contracts)) {
    const [code, max] =
      'bytecode' in contract
        ? [contract.bytecode, INITCODE_BYTES_MAX]
        : [contract.deployedBytecode, CODE_BYTES_MAX]
    const bytes = (code.length - 2) / 2
    t.ok(bytes > 100 && bytes <= max, `${name}: ${bytes} bytes`)
  }
})
