/**
 * How fast blocks run. Prints one line a case; run it alone on a quiet machine:
 *
 *   node test/bench/execute.ts
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hex } from '../../node/base/bytes.ts'
import type { Chain } from '../../node/chain/chain.ts'
import {
  alice,
  attributesAfter,
  openTestChain,
  signedTx,
  type TxFields,
  testAlloc,
} from '../support/chain.ts'

const COUNT = 600
const LOOP: Hex = `0x${'10'.repeat(20)}`
const STORE: Hex = `0x${'57'.repeat(20)}`
const alloc = {
  ...testAlloc,
  // jumpdest; 3 / (2 * 1); pop; again while more than 1,000 gas is left
  [LOOP]: { code: '0x5b6001600202600304506103e85a1160005700' as Hex },
  // sstore(callvalue, timestamp)
  [STORE]: { code: '0x423455' as Hex },
}

let nonce = 0n

async function measure(
  name: string,
  chain: Chain,
  count: number,
  fields: (i: number) => TxFields,
): Promise<void> {
  const candidates = Array.from({ length: count }, (_, i) =>
    signedTx(alice, { nonce: nonce + BigInt(i), ...fields(i) }),
  )
  const attributes = attributesAfter(chain.head('unsafe'), [], { gasLimit: 2_000_000_000n })
  const times: number[] = []
  let began = performance.now()
  const executed = await chain.build(attributes, candidates)
  times.push(performance.now() - began)
  if (executed.kind === 'invalid') throw new Error(executed.reason)
  began = performance.now()
  const verdict = await chain.reexecute(executed.block)
  times.push(performance.now() - began)
  if (verdict.kind !== 'ok') throw new Error(verdict.kind)
  began = performance.now()
  await chain.commit(executed)
  times.push(performance.now() - began)
  nonce += BigInt(executed.receipts.length - 1)
  const gas = Number(executed.block.header.gasUsed) / 1e6
  const [build = 0, again = 0, commit = 0] = times
  const rate = (ms: number) =>
    `${Math.round((count / ms) * 1000)} tx/s, ${((gas / ms) * 1000).toFixed(1)} Mgas/s`
  console.log(`${name}: build ${rate(build)}; again ${rate(again)}; commit ${commit.toFixed(0)} ms`)
}

const folder = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
const { chain, close } = await openTestChain(folder, alloc)
for (let round = 0; round < 3; round++) {
  await measure('transfers to new accounts', chain, COUNT, (i) => ({
    to: `0x${(round * COUNT + i + 4096).toString(16).padStart(40, '0')}`,
  }))
}
await measure('new storage slots', chain, COUNT, (i) => ({
  to: STORE,
  value: BigInt(i + 1),
  gasLimit: 60_000n,
}))
await measure('arithmetic loop', chain, 10, () => ({ to: LOOP, value: 0n, gasLimit: 5_000_000n }))
await close()
rmSync(folder, { recursive: true })
