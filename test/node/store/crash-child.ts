/** Commits blocks until it is killed; prints the number of each after it is durable. */
import { alice, extend, openTestChain, signedTx } from '../../support/chain.ts'

const { chain } = await openTestChain(process.argv[2] as string)
let nonce = chain.stateAt('unsafe').account(alice.address)?.nonce ?? 0n
for (;;) {
  const transactions = [signedTx(alice, { nonce }), signedTx(alice, { nonce: nonce + 1n })]
  nonce += 2n
  const { block } = await extend(chain, transactions)
  process.stdout.write(`${block.header.number}\n`)
}
