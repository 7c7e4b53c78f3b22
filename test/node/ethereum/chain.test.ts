import t, { type Test } from 'tap'
import { encodeHeader, headerHash } from '../../../node/chain/block.ts'
import type { EthereumBlock, EthereumHeader } from '../../../node/chain/types.ts'
import type { EthereumChain } from '../../../node/ethereum/chain.ts'
import { bob } from '../../support/chain.ts'
import { build, extend, extendThroughForks, genesisJson, openWorld, transfer } from './world.ts'

async function open(t: Test, json: object = genesisJson): Promise<EthereumChain> {
  const { chain, store } = await openWorld(t.testdir(), json)
  t.teardown(() => store.close())
  return chain
}

t.test('a chain goes through every era: fields, fees and receipts of each fork', async (t) => {
  const chain = await open(t)
  await extendThroughForks(chain)
  t.equal(chain.headRef('finalized').number, 7n)
  const header = (number: bigint): EthereumHeader => {
    const block = chain.blockByNumber(number)
    if (!block) throw new Error(`no block ${number}`)
    return block.header
  }
  t.equal(header(1n).difficulty, 131_072n)
  t.equal(header(1n).baseFeePerGas, undefined)
  t.equal(header(2n).baseFeePerGas, 1_000_000_000n)
  t.equal(header(3n).difficulty, 0n)
  t.equal(header(3n).withdrawalsRoot, undefined)
  t.equal(chain.blockByNumber(4n)?.withdrawals?.[0]?.amount, 5n)
  t.equal(header(5n).blobGasUsed, 131_072n)
  t.equal(header(6n).excessBlobGas, 0n)
  t.ok(header(6n).requestsHash)
  t.equal(encodeHeader(header(7n)).length > encodeHeader(header(1n)).length, true)
  const [receipt] = chain.receipts(chain.blockByNumber(5n)?.hash ?? '0x') ?? []
  t.same(receipt?.blobGas, { used: 131_072n, price: 1n })
  t.equal(receipt?.l1Fee, undefined)
  // Four transfers of 1 wei and 5 gwei withdrawn.
  t.equal(chain.stateAt('unsafe').account(bob.address)?.balance, 5_000_000_005n)
})

t.test('the miner is paid before the merge, for an ommer too, and not after', async (t) => {
  const chain = await open(t)
  const first = await extend(chain)
  const { coinbase } = first.block.header
  const ETHER = 10n ** 18n
  t.equal(chain.stateAt('unsafe').account(coinbase)?.balance, 2n * ETHER)
  // A brother of block 1, by somebody else.
  const ommer: EthereumHeader = { ...first.block.header, coinbase: `0x${'dd'.repeat(20)}` }
  await extend(chain, [], { ommers: [ommer] })
  t.equal(chain.stateAt('unsafe').account(ommer.coinbase)?.balance, (2n * ETHER * 7n) / 8n)
  t.equal(chain.stateAt('unsafe').account(coinbase)?.balance, 4n * ETHER + (2n * ETHER) / 32n)
  const before = chain.stateAt('unsafe').account(coinbase)?.balance
  await extend(chain)
  t.equal(chain.stateAt('unsafe').account(coinbase)?.balance, before)
})

t.test('an ommer that is no brother of an ancestor is refused', async (t) => {
  const chain = await open(t)
  const first = await extend(chain)
  const { header } = first.block
  const wrong: [EthereumHeader, RegExp][] = [
    [header, /in the chain already/],
    [{ ...header, parentHash: `0x${'99'.repeat(32)}` }, /no child of a recent ancestor/],
    [{ ...header, extraData: Uint8Array.of(1), difficulty: 1n }, /difficulty is 1/],
  ]
  for (const [ommer, reason] of wrong) {
    const { block } = await build(chain, [], { ommers: [ommer] })
    const result = await chain.importBlock(block)
    t.match(result, { kind: 'invalid', field: 'ommersHash', reason })
  }
})

t.test('a block that claims what is not so is refused by the field', async (t) => {
  const chain = await open(t)
  await extendThroughForks(chain)
  const { block } = await build(chain, [transfer(chain, 5n, 2)])
  const other = `0x${'ee'.repeat(32)}` as const
  const lies: Partial<EthereumHeader>[] = [
    { stateRoot: other },
    { receiptsRoot: other },
    { transactionsRoot: other },
    { logsBloom: new Uint8Array(256).fill(1) },
    { gasUsed: 21_001n },
    { gasLimit: block.header.gasLimit * 2n },
    { baseFeePerGas: 7n },
    { difficulty: 1n },
    { timestamp: 1n },
    { number: 3n },
    { nonce: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1) },
    { withdrawalsRoot: other },
    { blobGasUsed: 131_072n },
    { excessBlobGas: 1n },
    { requestsHash: other },
    { ommersHash: other },
  ]
  for (const lie of lies) {
    const header = { ...block.header, ...lie }
    const claimed: EthereumBlock = { ...block, header, hash: headerHash(header) }
    const [field] = Object.keys(lie)
    t.match(await chain.importBlock(claimed), { kind: 'invalid', field }, `${field}`)
  }
  t.equal(chain.headRef('unsafe').number, 7n)
  t.same(await chain.importBlock(block), { kind: 'imported' })
  t.same(await chain.importBlock(block), { kind: 'known' })
})

t.test('a transaction of a fork to come makes the block invalid', async (t) => {
  const chain = await open(t)
  const late = transfer(chain, 0n, 2, 2n)
  await t.rejects(build(chain, [late]), /transaction type 2 is not known: use 0 or 1/)
})

t.test('from Prague on the system contracts must be there', async (t) => {
  const { alloc } = genesisJson
  const account = Object.fromEntries(Object.entries(alloc).slice(0, 1))
  const chain = await open(t, { ...genesisJson, alloc: account })
  for (let i = 0; i < 5; i++) await extend(chain)
  await t.rejects(build(chain), /system contract 0x00000961ef.* has no code/)
})
