/** The index of what is on the L2, after deposits, withdrawals and a reorg. */
import t from 'tap'
import { type Hex, OP } from '../../../genesis/addresses.ts'
import { L2ToL1MessagePasser } from '../../../genesis/contracts.generated.ts'
import { BridgedIndex } from '../../../node/chain/bridged.ts'
import { type DepositTx, encodeDepositTx } from '../../../node/chain/deposit.ts'
import {
  alice,
  attributesAfter,
  bob,
  ETHER,
  extend,
  openTestChain,
  signedTx,
} from '../../support/chain.ts'
import { Economy } from '../../support/economy.ts'
import { started } from '../../support/started.ts'

const deposit = (mint: bigint, change: Partial<DepositTx> = {}): Uint8Array =>
  encodeDepositTx({
    sourceHash: `0x${mint.toString(16).padStart(64, '0')}`,
    from: bob.address,
    to: alice.address,
    mint,
    value: 0n,
    gas: 100_000n,
    isSystemTx: false,
    data: new Uint8Array(0),
    ...change,
  })

t.test(
  'mints count, of failed deposits too, less what was sent to L1, at every block',
  async (t) => {
    const { chain, store, close } = await Economy.open(t.testdir())
    const source = await Economy.open(`${t.testdirName}/other`)
    t.teardown(() => Promise.all([close(), source.close()]))
    const index = await started(chain, new BridgedIndex(chain, store))
    const both = async (chain_: typeof chain, forced: Uint8Array[], raws: Uint8Array[] = []) => {
      const attributes = attributesAfter(chain_.head('unsafe'), forced)
      const executed = await chain_.build(attributes, raws)
      if (executed.kind === 'invalid') throw new Error(executed.reason)
      await chain_.commit(executed)
      return executed
    }
    await both(chain, [deposit(1_000n), deposit(50n, { value: 10n ** 30n })])
    await extend(chain)
    const out = signedTx(alice, { to: OP.l2ToL1MessagePasser, value: 7n, gasLimit: 200_000n })
    const sent = await both(chain, [deposit(3n)], [out])
    t.equal(sent.receipts.at(-1)?.status, 1)
    // People of this chain are rich from block 0 on.
    const at = (which: BridgedIndex) =>
      Promise.all(
        [0n, 1n, 2n, 3n].map(async (number) => (await which.at(number)) - chain.genesisOpen),
      )
    t.same(await at(index), [0n, 1_050n, 1_050n, 1_046n])
    t.same(
      await at(await started(chain, new BridgedIndex(chain, store))),
      await at(index),
      'opened again',
    )

    await both(source.chain, [deposit(9n)])
    for (let i = 0; i < 3; i++) await extend(source.chain)
    for (let number = 1n; number <= 4n; number++) {
      const block = source.chain.blockByNumber(number)
      if (block) await chain.importBlock(block)
    }
    t.equal(chain.headRef('unsafe').number, 4n)
    t.same(await at(index), [0n, 9n, 9n, 9n], 'rows of dropped blocks are gone')
  },
)

t.test('OPEN that block 0 held may leave as well', async (t) => {
  const { chain, store, close } = await openTestChain(t.testdir(), {
    [alice.address]: { balance: ETHER },
    [OP.l2ToL1MessagePasser]: { code: L2ToL1MessagePasser.deployedBytecode as Hex },
  })
  t.teardown(() => close())
  const index = await started(chain, new BridgedIndex(chain, store))
  const out = signedTx(alice, { to: OP.l2ToL1MessagePasser, value: 7n, gasLimit: 200_000n })
  const { receipts } = await extend(chain, [out])
  t.equal(receipts.at(-1)?.status, 1)
  t.same([await index.at(0n), await index.at(1n)], [ETHER, ETHER - 7n])
})
