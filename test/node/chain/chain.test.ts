/** The chain service: opening, committing, importing, heads, reorgs, reading at any block. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { verifyMerkleProof } from '@ethereumjs/mpt'
import { eoaCode7702SignAuthorization } from '@ethereumjs/util'
import t from 'tap'
import type { ChainConfig } from '../../../genesis/chain.ts'
import {
  bytesToBigint,
  fromHex,
  type Hex,
  keccak,
  toHex,
  ZERO_HASH,
} from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { decodeAccount } from '../../../node/chain/account.ts'
import { Chain } from '../../../node/chain/chain.ts'
import type { Executed } from '../../../node/chain/execute.ts'
import type { GenesisAlloc } from '../../../node/chain/genesis.ts'
import { refOf } from '../../../node/chain/heads.ts'
import { txHash } from '../../../node/chain/tx.ts'
import { Store } from '../../../node/store/store.ts'
import {
  alice,
  attributesAfter,
  bob,
  CHAIN_ID,
  ETHER,
  extend,
  openTestChain,
  signedTx,
  testAlloc,
  testConfig,
} from '../../support/chain.ts'

const L1 = { hash: `0x${'44'.repeat(32)}` as Hex, number: 9n }
const COUNTER: Hex = `0x${'c0'.repeat(20)}`
const REVERTER: Hex = `0x${'c1'.repeat(20)}`
const alloc = {
  ...testAlloc,
  // sstore(0, sload(0) + 1); return it
  [COUNTER]: { code: '0x5f54600101805f555f5260205ff3' as Hex, storage: { '0x00': '0x07' } },
  // mstore(0, 0x2a); revert(31, 1)
  [REVERTER]: { code: '0x602a5f526001601ffd' as Hex },
}

/** A block on `parent`, not committed. */
async function built(
  chain: Chain,
  parent: Hex,
  transactions: Uint8Array[] = [],
  randao?: Hex,
): Promise<Executed> {
  const header = chain.blockByHash(parent)?.header
  if (!header) throw new Error('no parent')
  const attributes = attributesAfter(header, [], randao ? { prevRandao: randao } : {})
  const executed = await chain.build(attributes, transactions, { parent })
  if (executed.kind === 'invalid') throw new Error(executed.reason)
  return executed
}

t.test(
  'a committed block can be read by hash, number, tag and transaction, before and after reopening',
  async (t) => {
    const path = t.testdir()
    const { chain, close } = await openTestChain(path, alloc)
    const raw = signedTx(alice)
    const { block, receipts } = await extend(chain, [raw])
    const check = (c: Chain): void => {
      t.equal(c.head('unsafe').hash, block.hash)
      t.equal(c.blockByNumber(1n)?.hash, block.hash)
      t.equal(c.blockByHash(block.hash)?.header.number, 1n)
      t.equal(c.blockByTag('finalized')?.hash, c.genesis.hash)
      t.same(
        c.receipts(block.hash)?.map((r) => r.transactionHash),
        receipts.map((r) => r.transactionHash),
      )
      t.match(c.transaction(txHash(raw)), { index: 1, block: { hash: block.hash } })
      t.equal(c.stateAt('unsafe').account(alice.address)?.nonce, 1n)
      t.equal(c.stateAt(0n).account(alice.address)?.nonce, 0n)
    }
    check(chain)
    t.equal(chain.blockByNumber(2n), null)
    t.equal(chain.transaction(ZERO_HASH), null)
    t.throws(() => chain.stateAt(99n), { code: 'unknown-block' })
    await close()
    const reopened = await openTestChain(path, alloc)
    check(reopened.chain)
    await reopened.close()
  },
)

/** The code of the error another process gets. */
async function errorOfOpeningElsewhere(path: string): Promise<string> {
  const store = new URL('../../../node/store/store.ts', import.meta.url).href
  const script = `import { Store } from '${store}'
    await Store.open(process.argv[1]).catch(({ code }) => process.stdout.write(code))`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, path])
  return stdout
}

t.test('a database of another chain, or one in use, is refused with what to do', async (t) => {
  const path = t.testdir()
  const first = await openTestChain(path, alloc)
  // This process may open it again, for its threads.
  t.equal(await errorOfOpeningElsewhere(path), 'store-locked')
  await first.close()
  await t.rejects(openTestChain(path, {}), {
    code: 'store-other-chain',
    message: /another directory/,
  })
  const wrong = {
    ...testConfig,
    genesis: { ...testConfig.genesis, l2: { hash: L1.hash, number: 0n } },
  }
  await t.rejects(openTestChain(path, alloc, wrong), { code: 'store-other-chain' })
})

t.test('block 0 is made again for a configuration that is new alone', async (t) => {
  const path = t.testdir()
  const first = await openTestChain(path, alloc)
  const l2 = { hash: first.chain.genesis.hash, number: 0n }
  await first.close()
  const named = { ...testConfig, genesis: { ...testConfig.genesis, l2 } }
  let made = 0
  const open = async (config: ChainConfig): Promise<void> => {
    const store = await Store.open(path)
    const counted = (): GenesisAlloc => {
      made++
      return alloc
    }
    await Chain.open({ config, alloc: counted, store, log: silentLog }).finally(() => store.close())
  }
  await open(named)
  await open(named)
  t.equal(made, 1)
  const edited = { ...named, genesis: { ...named.genesis, l2Time: 1n } }
  await t.rejects(open(edited), { code: 'store-other-chain' })
  await open(named)
  t.equal(made, 2, 'and what was compared stays known')
})

t.test('a block built on an old head is refused and can be built again', async (t) => {
  const { chain, close } = await openTestChain(t.testdir())
  const genesis = chain.genesis.hash
  const [one, two] = [await built(chain, genesis), await built(chain, genesis, [signedTx(alice)])]
  await chain.commit(one)
  await t.rejects(chain.commit(two), { code: 'stale-parent', severity: 'retry' })
  t.equal(chain.head('unsafe').hash, one.block.hash)
  await close()
})

t.test('a follower imports what a builder made, once, with its signature', async (t) => {
  const builder = await openTestChain(t.testdir({}), alloc)
  const follower = await openTestChain(`${t.testdirName}/follower`, alloc)
  const seen: string[] = []
  follower.chain.on('block', ({ block }) => seen.push(block.hash))
  const first = await extend(builder.chain, [signedTx(alice)])
  const second = await extend(builder.chain, [signedTx(bob)])
  const signature = new Uint8Array(65).fill(3)
  t.match(await follower.chain.importBlock(second.block), {
    kind: 'unknownParent',
    parentHash: first.block.hash,
  })
  // Both at once: they take turns.
  const results = await Promise.all([
    follower.chain.importBlock(first.block, signature),
    follower.chain.importBlock(second.block),
    follower.chain.importBlock(first.block),
  ])
  t.equal(follower.chain.blockSignature(second.block.hash), null)
  await follower.chain.importBlock(second.block, signature)
  t.same(follower.chain.blockSignature(second.block.hash), signature, 'kept when it comes later')
  t.same(
    results.map(({ kind }) => kind),
    ['imported', 'imported', 'known'],
  )
  t.same(seen, [first.block.hash, second.block.hash])
  t.same(follower.chain.blockSignature(first.block.hash), signature)
  t.equal(follower.chain.head('unsafe').stateRoot, builder.chain.head('unsafe').stateRoot)
  await Promise.all([builder.close(), follower.close()])
})

t.test('an invalid block is refused with the reason and changes nothing', async (t) => {
  const { chain, close } = await openTestChain(t.testdir())
  const { block } = await built(chain, chain.genesis.hash, [signedTx(alice)])
  const { createBlock } = await import('../../../node/chain/block.ts')
  const lie = createBlock({ ...block.header, stateRoot: L1.hash }, block.transactions)
  t.match(await chain.importBlock(lie), { kind: 'invalid', reason: /stateRoot is 0x4444/ })
  const bare = createBlock(block.header, block.transactions.slice(1))
  t.match(await chain.importBlock({ ...bare, hash: L1.hash }), {
    kind: 'invalid',
    reason: /L1 attributes/,
  })
  t.equal(chain.head('unsafe').hash, chain.genesis.hash)
  t.equal(chain.blockByHash(lie.hash), null)
  t.match(await chain.importBlock(block), { kind: 'imported' })
  await close()
})

t.test('a longer branch above the safe head takes over, one below it does not', async (t) => {
  const { chain, close } = await openTestChain(t.testdir())
  const source = await openTestChain(`${t.testdirName}/other`)
  const reorgs: number[] = []
  chain.on('reorg', ({ dropped }) => reorgs.push(dropped.length))
  const raw = signedTx(alice)
  const a1 = await extend(chain, [raw])
  const b1 = await built(source.chain, source.chain.genesis.hash)
  await source.chain.commit(b1)
  const b2 = await extend(source.chain, [raw])
  t.match(await chain.importBlock(b1.block), { kind: 'imported' })
  t.equal(chain.head('unsafe').hash, a1.block.hash, 'not higher: kept aside')
  t.match(await chain.importBlock(b2.block), { kind: 'imported' })
  t.equal(chain.head('unsafe').hash, b2.block.hash)
  t.same(reorgs, [1])
  t.equal(chain.blockByNumber(1n)?.hash, b1.block.hash)
  t.match(chain.transaction(txHash(raw)), { index: 1, block: { hash: b2.block.hash } })
  await chain.markSafe(refOf(b1.block), L1)
  const a2 = await built(chain, a1.block.hash)
  const a3parent = await chain.importBlock(a2.block)
  t.match(a3parent, { kind: 'imported' })
  const a3 = await built(chain, a2.block.hash)
  await chain.importBlock(a3.block)
  t.equal(chain.head('unsafe').hash, b2.block.hash, 'higher, but not on the safe block')
  await Promise.all([close(), source.close()])
})

t.test(
  'resetUnsafe unwinds: indices, transactions and heads follow, and the way back works',
  async (t) => {
    const path = t.testdir()
    const { chain, close } = await openTestChain(path)
    const [tx0, tx1] = [signedTx(alice), signedTx(alice, { nonce: 1n })]
    const one = await extend(chain, [tx0])
    const two = await extend(chain, [tx1])
    await chain.markSafe(refOf(two.block), L1)
    await chain.resetUnsafe(refOf(one.block))
    t.equal(chain.head('unsafe').hash, one.block.hash)
    t.equal(chain.head('safe').hash, one.block.hash)
    t.equal(chain.blockByNumber(2n), null)
    t.equal(chain.transaction(txHash(tx1)), null)
    t.ok(chain.transaction(txHash(tx0)))
    t.equal(chain.stateAt('unsafe').account(alice.address)?.nonce, 1n)
    await chain.resetUnsafe(refOf(two.block))
    t.equal(chain.blockByNumber(2n)?.hash, two.block.hash)
    t.ok(chain.transaction(txHash(tx1)))
    await close()
    const reopened = await openTestChain(path)
    t.equal(reopened.chain.head('unsafe').hash, two.block.hash)
    t.equal(reopened.chain.head('safe').hash, one.block.hash)
    await reopened.close()
  },
)

t.test('what is final stays', async (t) => {
  const { chain, close } = await openTestChain(t.testdir())
  const one = await extend(chain)
  const two = await extend(chain)
  await chain.markFinalized(refOf(one.block))
  t.equal(chain.headRef('safe').hash, one.block.hash, 'final is safe')
  await t.rejects(chain.resetUnsafe(refOf(chain.genesis)), { code: 'finalized-reorg' })
  await t.rejects(chain.markSafe(refOf(chain.genesis), L1), { code: 'finalized-reorg' })
  await t.rejects(chain.markSafe({ hash: L1.hash, number: 2n }, L1), { code: 'not-canonical' })
  await t.rejects(chain.resetUnsafe({ hash: L1.hash, number: 2n }), { code: 'unknown-block' })
  t.equal(chain.head('unsafe').hash, two.block.hash)
  await chain.markSafe(refOf(two.block), L1)
  t.same(chain.heads.safeL1Origin, L1)
  await close()
})

t.test('a listener that throws disturbs nobody', async (t) => {
  const { chain, close } = await openTestChain(t.testdir())
  const seen: bigint[] = []
  chain.on('block', () => {
    throw new Error('listener')
  })
  const off = chain.on('block', ({ block }) => seen.push(block.header.number))
  await extend(chain)
  off()
  await extend(chain)
  t.same(seen, [1n])
  await close()
})

t.test('calls run on the state of any block and leave no trace', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  await extend(chain, [signedTx(alice, { to: COUNTER, value: 0n, gasLimit: 80_000n })])
  const request = { from: alice.address, to: COUNTER }
  t.equal(BigInt(toHex((await chain.call(request)).returnData)), 9n)
  t.equal(BigInt(toHex((await chain.call(request)).returnData)), 9n)
  t.equal(BigInt(toHex((await chain.call(request, 0n)).returnData)), 8n)
  const reverted = await chain.call({ to: REVERTER })
  t.match(reverted, { error: { kind: 'revert' }, returnData: Uint8Array.of(0x2a) })
  t.match(await chain.call({ from: REVERTER, to: bob.address, value: 1n }), {
    error: { message: /insufficient funds/ },
  })
  t.match(await chain.call({ ...request, gas: 20_000n }), {
    error: { kind: 'refused', code: 'intrinsic-gas', message: /intrinsic/ },
  })
  t.match(await chain.call({ ...request, gas: 24_000n }), {
    error: { kind: 'halt', message: /out of gas/ },
  })
  t.same((await chain.call(request)).accessList, [{ address: COUNTER, storageKeys: [ZERO_HASH] }])
  await close()
})

t.test('an estimate is enough and little more, a failing call gives its revert data', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  t.match(await chain.estimateGas({ from: alice.address, to: bob.address, value: ETHER }), {
    gas: 21_000n,
  })
  const estimate = await chain.estimateGas({ from: alice.address, to: COUNTER })
  if (estimate.kind !== 'estimated') throw new Error('failed')
  const used = (await chain.call({ from: alice.address, to: COUNTER })).gasUsed
  t.ok(estimate.gas >= used && estimate.gas * 100n <= used * 105n, `${estimate.gas} for ${used}`)
  const { receipts } = await extend(chain, [
    signedTx(alice, { to: COUNTER, value: 0n, gasLimit: estimate.gas }),
  ])
  t.equal(receipts[1]?.status, 1)
  t.match(await chain.estimateGas({ to: REVERTER }), {
    kind: 'failed',
    result: { returnData: Uint8Array.of(0x2a) },
  })
  await close()
})

t.test('an estimate with an authorization runs the borrowed code', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  const [chainId, address, nonce, yParity, r, s] = eoaCode7702SignAuthorization(
    { chainId: `0x${CHAIN_ID.toString(16)}`, address: COUNTER, nonce: '0x' },
    bob.key,
  )
  const authorization = {
    chainId: bytesToBigint(chainId),
    address: toHex(address),
    nonce: bytesToBigint(nonce),
    yParity: Number(bytesToBigint(yParity)),
    r: bytesToBigint(r),
    s: bytesToBigint(s),
  }
  const request = { from: alice.address, to: bob.address }
  const plain = await chain.call(request)
  t.same([plain.returnData.length, plain.gasUsed], [0, 21_000n])
  const borrowed = await chain.call({ ...request, authorizationList: [authorization] })
  t.equal(BigInt(toHex(borrowed.returnData)), 1n)
  t.ok(borrowed.gasUsed > 46_000n)
  const wrongNonce = { ...authorization, nonce: 5n }
  t.equal((await chain.call({ ...request, authorizationList: [wrongNonce] })).returnData.length, 0)
  const estimate = await chain.estimateGas({ ...request, authorizationList: [authorization] })
  t.ok(estimate.kind === 'estimated' && estimate.gas >= borrowed.gasUsed)
  t.equal(chain.stateAt('unsafe').code(bob.address).length, 0, 'nothing stays')
  await close()
})

t.test('proofs of accounts and slots verify against the state root', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  const view = chain.stateAt('unsafe')
  const proof = view.proof(COUNTER, [ZERO_HASH, `0x${'01'.repeat(32)}`])
  const rlp = await verifyMerkleProof(keccak(fromHex(COUNTER)), proof.accountProof.map(fromHex), {
    root: fromHex(view.header.stateRoot),
  } as never)
  const account = decodeAccount(rlp as Uint8Array)
  t.same(account, proof.account)
  const [set, unset] = proof.storageProof
  const root = { root: account.storageRoot } as never
  t.same(
    await verifyMerkleProof(keccak(fromHex(ZERO_HASH)), (set?.proof ?? []).map(fromHex), root),
    Uint8Array.of(7),
  )
  t.equal(set?.value, 7n)
  t.equal(unset?.value, 0n)
  t.equal(
    await verifyMerkleProof(
      keccak(fromHex(`0x${'01'.repeat(32)}`)),
      (unset?.proof ?? []).map(fromHex),
      root,
    ),
    null,
  )
  await close()
})
