/** The bridge's books: every way in which L2 could hold OPEN that L1 does not lock. */
import t from 'tap'
import { encodeAbiParameters, encodeFunctionData, keccak256, pad } from 'viem'
import { OP } from '../../genesis/addresses.ts'
import { genesisAlloc } from '../../genesis/alloc.ts'
import { L2ToL1MessagePasser } from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { encodeDepositTx, userDepositSourceHash } from '../../node/chain/deposit.ts'
import type { Executed } from '../../node/chain/execute.ts'
import { l1AttributesDeposit } from '../../node/chain/l1-attributes.ts'
import { TRANSACTION_DEPOSITED } from '../../node/derive/deposits.ts'
import { L1CallError } from '../../node/l1/errors.ts'
import type { L1Log } from '../../node/l1/types.ts'
import { creationCodeOf } from '../../node/preinstalls.ts'
import { Supply } from '../../prover/supply.ts'
import {
  alice,
  attributesAfter,
  l1AttributesAt,
  openTestChain,
  signedTx,
  testConfig,
  walletOf,
} from '../support/chain.ts'

const PORTAL = testConfig.portal
const poor = walletOf(0x44)
const FINALIZED = keccak256(toHex(new TextEncoder().encode('WithdrawalFinalized(bytes32,bool)')))

/** An L1 block's portal logs, and what the portal says it locks there. */
type L1 = { logs: L1Log[]; locked: bigint | 'forgotten' }

function depositLog(mint: bigint, logIndex: number): L1Log {
  const opaque =
    `0x${[mint, mint].map((n) => n.toString(16).padStart(64, '0')).join('')}${100_000n.toString(16).padStart(16, '0')}00` as Hex
  return {
    address: PORTAL,
    topics: [TRANSACTION_DEPOSITED, pad(poor.address), pad(poor.address), ZERO_HASH],
    data: fromHex(encodeAbiParameters([{ type: 'bytes' }], [opaque])),
    logIndex,
  }
}

function depositTx(mint: bigint, logIndex: number, l1Hash: Hex): Uint8Array {
  const sourceHash = userDepositSourceHash(l1Hash, logIndex)
  const common = { from: poor.address, to: poor.address, gas: 100_000n, isSystemTx: false }
  return encodeDepositTx({ ...common, sourceHash, mint, value: mint, data: new Uint8Array(0) })
}

const finalizedLog = (hash: Hex): L1Log => ({
  address: PORTAL,
  topics: [FINALIZED, hash],
  data: new Uint8Array(32),
  logIndex: 9,
})

type Tap = { teardown(fn: () => unknown): void; testdir(): string }

async function world(t: Tap) {
  const alloc = {
    ...genesisAlloc(testConfig, creationCodeOf),
    [alice.address]: { balance: 10n ** 18n },
  }
  const { chain, store, close } = await openTestChain(t.testdir(), alloc)
  t.teardown(close)
  const l1 = new Map<bigint, L1>()
  const supply = new Supply({
    config: testConfig,
    reader: {
      originWithLogs: async (number) =>
        ({ hash: hashOf(number), portalLogs: l1.get(number)?.logs ?? [] }) as never,
    },
    client: {
      request: async (_method, [, at], parse) => {
        const number = [...l1.keys()].find(
          (n) => hashOf(n) === (at as { blockHash: Hex }).blockHash,
        )
        const locked = l1.get(number ?? 0n)?.locked ?? 0n
        if (locked === 'forgotten') throw new L1CallError('eth_call', -32000, 'missing trie node')
        return parse(`0x${locked.toString(16)}`)
      },
    },
    books: store.table('supply'),
    sent: store.table('withdrawals'),
  })
  let nonce = 0n
  return {
    supply,
    withdraw: (value: bigint): Uint8Array => {
      const args = [alice.address, 0n, '0x'] as const
      const data = fromHex(
        encodeFunctionData({
          abi: L2ToL1MessagePasser.abi,
          functionName: 'initiateWithdrawal',
          args,
        }),
      )
      return signedTx(alice, {
        nonce: nonce++,
        to: OP.l2ToL1MessagePasser,
        value,
        data,
        gasLimit: 200_000n,
      })
    },
    burn: (): Uint8Array => {
      const data = fromHex(
        encodeFunctionData({ abi: L2ToL1MessagePasser.abi, functionName: 'burn' }),
      )
      return signedTx(alice, {
        nonce: nonce++,
        to: OP.l2ToL1MessagePasser,
        value: 0n,
        data,
        gasLimit: 200_000n,
      })
    },
    /** The first block of the epoch of L1 block `number`, with these deposits. */
    epoch: async (
      number: bigint,
      at: L1,
      transactions: readonly Uint8Array[],
      candidates: readonly Uint8Array[] = [],
    ): Promise<Executed> => {
      l1.set(number, at)
      const attributes = { ...l1AttributesAt(0n), number, hash: hashOf(number) }
      const change = { transactions: [l1AttributesDeposit(attributes), ...transactions] }
      const executed = await chain.build(
        attributesAfter(chain.head('unsafe'), [], change),
        candidates,
      )
      if (executed.kind === 'invalid') throw new Error(executed.reason)
      await chain.commit(executed)
      return executed
    },
  }
}

const hashOf = (number: bigint): Hex => `0x${number.toString(16).padStart(64, '0')}`

async function check(supply: Supply, executed: Executed) {
  return supply.check(executed, executed.block.header.parentHash)
}

t.test('deposits, withdrawals, burns and payments balance', async (t) => {
  const { supply, epoch, withdraw, burn } = await world(t)
  const first = await epoch(8n, { logs: [depositLog(500n, 0)], locked: 500n }, [
    depositTx(500n, 0, hashOf(8n)),
  ])
  t.match(await check(supply, first), { minted: 500n, burned: 0n, withdrawn: 0n, finalized: 0n })
  const second = await epoch(9n, { logs: [], locked: 500n }, [], [withdraw(30n), withdraw(4n)])
  t.match(await check(supply, second), { minted: 500n, withdrawn: 34n, burned: 0n })
  const third = await epoch(10n, { logs: [], locked: 500n }, [], [burn()])
  t.match(await check(supply, third), { minted: 500n, withdrawn: 34n, burned: 34n })
  const [hash] = second.receipts
    .flatMap(({ logs }) => logs)
    .map(({ data }) => toHex(data.subarray(96, 128)))
  const paid = await epoch(11n, { logs: [finalizedLog(hash as Hex)], locked: 470n }, [])
  t.match(await check(supply, paid), { minted: 500n, finalized: 30n })
  t.equal(supply.lockedCheckedAt, 11n)
  const { block } = paid
  t.match(await supply.totals(block.header.number, block.hash), { finalized: 30n })
  t.equal(
    await supply.totals(block.header.number, ZERO_HASH),
    null,
    'another branch has books of its own',
  )
})

t.test('a deposit that did not arrive is named', async (t) => {
  const { supply, epoch } = await world(t)
  const logs = [depositLog(500n, 0), depositLog(7n, 1)]
  const executed = await epoch(8n, { logs, locked: 507n }, [depositTx(500n, 0, hashOf(8n))])
  t.match(await check(supply, executed), { wrong: /deposit 1 of L1 block 8 is not in the block/ })
})

t.test('a mint that L1 does not lock is found', async (t) => {
  const { supply, epoch } = await world(t)
  const executed = await epoch(8n, { logs: [depositLog(500n, 0)], locked: 499n }, [
    depositTx(500n, 0, hashOf(8n)),
  ])
  t.match(await check(supply, executed), { wrong: /locks 499 wei; 500 were minted and 0 paid out/ })
})

t.test('a payment without a message from the L2 is found', async (t) => {
  const { supply, epoch } = await world(t)
  const logs = [finalizedLog(hashOf(77n))]
  const executed = await epoch(8n, { logs, locked: 0n }, [])
  t.match(await check(supply, executed), { wrong: /never sent from the L2/ })
})

t.test('a message is not paid in the very L1 block its own L2 block hangs on', async (t) => {
  const { supply, epoch, withdraw } = await world(t)
  const pays = { logs: [] as L1Log[], locked: 0n }
  const sent = await epoch(8n, pays, [], [withdraw(3n)])
  const [hash] = sent.receipts
    .flatMap(({ logs: l }) => l)
    .map(({ data }) => toHex(data.subarray(96, 128)))
  pays.logs.push(finalizedLog(hash as Hex))
  t.match(await check(supply, sent), { wrong: /never sent from the L2/ })
})

t.test('OPEN out of nothing is found', async (t) => {
  const { supply, epoch } = await world(t)
  const executed = await epoch(8n, { logs: [], locked: 0n }, [])
  const writes = { ...executed.writes, balanceChange: executed.writes.balanceChange + 5n }
  t.match(await check(supply, { ...executed, writes }), { wrong: /^5 wei of OPEN appeared/ })
})

t.test('an L1 node that has forgotten the state is no fault; the books go on', async (t) => {
  const { supply, epoch } = await world(t)
  const executed = await epoch(8n, { logs: [depositLog(5n, 0)], locked: 'forgotten' }, [
    depositTx(5n, 0, hashOf(8n)),
  ])
  t.match(await check(supply, executed), { minted: 5n })
  t.equal(supply.lockedCheckedAt, null)
})

t.test('books without those of the block before are refused', async (t) => {
  const { supply, epoch } = await world(t)
  await epoch(8n, { logs: [], locked: 0n }, [])
  const second = await epoch(9n, { logs: [], locked: 0n }, [])
  await t.rejects(check(supply, second), { code: 'supply-gap' })
})
