import t from 'tap'
import { ZERO_HASH } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import type { Chain } from '../../node/chain/chain.ts'
import type { TxRefusal } from '../../node/chain/errors.ts'
import { txHash } from '../../node/chain/tx.ts'
import type { Block } from '../../node/chain/types.ts'
import { l2RefOf } from '../../node/derive/l2-ref.ts'
import { PRODUCER_DEFAULTS, Producer, type ProducerModules } from '../../sequencer/produce.ts'
import { alice, bob, openTestChain, signedTx, testConfig } from '../support/chain.ts'

const GENESIS_MS = Number(testConfig.genesis.l2Time) * 1000
const origin = {
  ...testConfig.genesis.l1,
  parentHash: ZERO_HASH,
  timestamp: testConfig.genesis.l2Time,
  baseFee: 10n ** 9n,
  blobBaseFee: 1n,
  prevRandao: ZERO_HASH,
  parentBeaconBlockRoot: ZERO_HASH,
  portalLogs: [],
  configLogs: [],
}

/** A producer on a real chain, with a clock that stands `seconds` after genesis. */
function aProducer(
  chain: Chain,
  seconds: number,
  change: Partial<ProducerModules> = {},
  options: Partial<typeof PRODUCER_DEFAULTS> = {},
) {
  const told: string[] = []
  const published: bigint[] = []
  const producer = new Producer(
    { ...PRODUCER_DEFAULTS, retryDelayMs: 1, retryDelayMsMax: 4, ...options },
    {
      config: testConfig,
      chain,
      origins: { choose: async () => ({ kind: 'origin', origin, empty: false }) },
      log: { ...silentLog, error: (event) => told.push(event) },
      now: () => GENESIS_MS + seconds * 1000,
      head: () => l2RefOf(testConfig, chain.blockByTag('unsafe') ?? chain.genesis),
      system: () => testConfig.genesis.systemConfig,
      pressure: () => ({ isRecovering: false, bytesMax: 1_000_000 }),
      candidates: () => [],
      sign: () => new Uint8Array(65).fill(7),
      publish: async (block) => {
        // Whoever hears of a block must find it on our disk.
        if (chain.blockByHash(block.hash)) published.push(block.header.number)
      },
      onSkipped: () => {},
      ...change,
    },
  )
  return { producer, told, published }
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('it catches up with the clock, one block a second, and then waits', async (t) => {
  const { chain, close } = await openTestChain(`${t.testdir()}/db`)
  t.teardown(close)
  const { producer, published } = aProducer(chain, 5)
  producer.start()
  await until(() => published.length === 5)
  await producer.stop()
  t.same(published, [1n, 2n, 3n, 4n, 5n], 'durable before gossip, in order, none ahead of time')
  const head = chain.head('unsafe')
  t.equal(head.timestamp, testConfig.genesis.l2Time + 5n)
  t.same(chain.blockSignature(head.hash), new Uint8Array(65).fill(7), 'kept with its signature')
})

t.test('it takes the pool, tells what it skipped, and leaves an empty block empty', async (t) => {
  const { chain, close } = await openTestChain(`${t.testdir()}/db`)
  t.teardown(close)
  const good = signedTx(alice, { nonce: 0n, to: bob.address, value: 1n })
  const gap = signedTx(alice, { nonce: 5n, to: bob.address, value: 1n })
  const skipped: string[] = []
  const pool = {
    candidates: () => [good, gap],
    onSkipped: (list: readonly { reason: { code: string } }[]) => {
      skipped.push(...list.map(({ reason }) => reason.code))
    },
  }
  const first = aProducer(chain, 1, pool)
  first.producer.start()
  await until(() => first.published.length === 1)
  await first.producer.stop()
  t.equal(chain.blockByNumber(1n)?.transactions.length, 2, 'L1 attributes and the transfer')
  t.same(skipped, ['nonce-too-high'])

  const drifted = {
    origins: { choose: async () => ({ kind: 'origin' as const, origin, empty: true }) },
  }
  const next = signedTx(alice, { nonce: 1n, to: bob.address, value: 1n })
  const second = aProducer(chain, 2, { ...drifted, candidates: () => [next] })
  second.producer.start()
  await until(() => second.published.length === 1)
  await second.producer.stop()
  t.equal(chain.blockByNumber(2n)?.transactions.length, 1, 'the drift is used up: deposits only')
})

t.test('an L1 that fails is tried again, with nothing lost', async (t) => {
  const { chain, close } = await openTestChain(`${t.testdir()}/db`)
  t.teardown(close)
  let failures = 3
  const { producer, told, published } = aProducer(chain, 1, {
    origins: {
      choose: async () => {
        if (failures-- > 0) throw new Error('L1 is away')
        return { kind: 'origin', origin, empty: false }
      },
    },
  })
  producer.start()
  await until(() => published.length === 1)
  await producer.stop()
  t.same(told, ['block not produced', 'block not produced', 'block not produced'])
  t.equal(chain.headRef('unsafe').number, 1n)
})

t.test('what does not execute the same way twice is left out, and the block is made', async (t) => {
  const { chain, close } = await openTestChain(`${t.testdir()}/db`)
  t.teardown(close)
  const skipped: string[] = []
  // A precompile that answers differently the second time, as a broken GPU would.
  const flaky = {
    build: chain.build.bind(chain),
    commit: chain.commit.bind(chain),
    reexecute: async (block: Block) =>
      block.transactions.length > 1
        ? { kind: 'mismatch' as const, field: 'stateRoot', expected: 'a', got: 'b' }
        : chain.reexecute(block),
  } as Pick<Chain, 'build' | 'reexecute' | 'commit'>
  const { producer, told, published } = aProducer(chain, 1, {
    chain: flaky,
    candidates: () => [signedTx(alice, { nonce: 0n })],
    onSkipped: (list) => skipped.push(...list.map(({ reason }) => reason.code)),
  })
  t.equal(await producer.produceIfDue(), 1_000)
  t.same(published, [1n])
  t.same(told, ['block does not re-execute; it is built without transactions'])
  t.same(skipped, ['execution-fault'])
  t.equal(chain.blockByNumber(1n)?.transactions.length, 1)
})

t.test(
  'heavy transactions make a block late once, and the next ones small, never the chain',
  async (t) => {
    const { chain, close } = await openTestChain(`${t.testdir()}/db`)
    t.teardown(close)
    let [clockMs, nonce] = [GENESIS_MS + 1_000, 0n]
    // Run twice (built and checked), a transaction of 2^24 gas takes a slow machine this long.
    const HEAVY_MS = 2_000
    const { producer } = aProducer(chain, 1, {
      now: () => clockMs,
      *candidates() {
        for (let i = 0; i < 50; i++) {
          yield signedTx(alice, { nonce: nonce + BigInt(i) })
          clockMs += HEAVY_MS
        }
      },
    })
    const late: number[] = []
    for (let i = 0; i < 20; i++) {
      const waitMs = await producer.produceIfDue()
      const head = chain.head('unsafe')
      nonce = chain.stateAt('unsafe').account(alice.address)?.nonce ?? 0n
      late.push(clockMs - GENESIS_MS - Number(head.timestamp - testConfig.genesis.l2Time) * 1_000)
      clockMs += waitMs
    }
    t.ok(nonce > 0n, `${nonce} transactions`)
    t.ok(
      Math.max(...late) <= PRODUCER_DEFAULTS.lateMsMax + HEAVY_MS,
      `late by ${late.join(', ')} ms`,
    )
  },
)

/** JUMPDEST PUSH0 JUMP as initcode: burns all the gas it is given. */
const ENDLESS = Uint8Array.of(0x5b, 0x5f, 0x56)

t.test(
  'a transaction that computes for longer than a block has is first once, then given up',
  async (t) => {
    const { chain, close } = await openTestChain(`${t.testdir()}/db`)
    t.teardown(close)
    const cheap = signedTx(bob, { nonce: 0n, to: alice.address, value: 1n })
    const heavy = signedTx(alice, { nonce: 0n, to: null, data: ENDLESS, gasLimit: 16_000_000n })
    const firsts: (string | null)[] = []
    const skipped: { hash: string; reason: { code: string; message: string } }[] = []
    // A clock that moves only when it is asked: each look is a millisecond, a transfer has one or two.
    let ms = GENESIS_MS + 60_000
    let block = 0
    const { producer, published } = aProducer(
      chain,
      60,
      {
        now: () => ++ms,
        candidates: (first) => {
          firsts.push(first)
          block++
          // The first block has used most of its time when the heavy one comes.
          if (block > 1) return first ? [heavy] : []
          return (function* () {
            yield cheap
            ms += 300
            yield heavy
          })()
        },
        onSkipped: (list) => void skipped.push(...list),
      },
      { lateMsMax: 10 ** 9, fillMsMax: 600 },
    )
    for (let i = 0; i < 3; i++) await producer.produceIfDue()
    t.same(published, [1n, 2n, 3n], 'no block waits for it')
    t.equal(chain.blockByNumber(1n)?.transactions.length, 2, 'what stood before it is in')
    t.same(
      skipped.map(({ reason }) => reason.code),
      ['out-of-time', 'computes-too-long'],
    )
    t.same(firsts, [null, txHash(heavy), null], 'the second block is its own')
    t.match(skipped[1]?.reason.message, /computed for \d+ ms .* split it/)
  },
)

t.test('what was given up teaches nothing about how long a second run takes', async (t) => {
  const { chain, close } = await openTestChain(`${t.testdir()}/db`)
  t.teardown(close)
  const heavy = signedTx(alice, { nonce: 0n, to: null, data: ENDLESS, gasLimit: 16_000_000n })
  const reasons: string[] = []
  let ms = GENESIS_MS + 60_000
  const { producer } = aProducer(
    chain,
    60,
    {
      now: () => ++ms,
      candidates: () => [heavy],
      onSkipped: (list) => void reasons.push(...list.map(({ reason }) => reason.message)),
    },
    { lateMsMax: 10 ** 9, fillMsMax: 600, workMsMax: 850 },
  )
  for (let i = 0; i < 3; i++) await producer.produceIfDue()
  for (const message of reasons) t.match(message, /a block has 425 ms/)
  t.equal(reasons.length, 3)
})

t.test(
  'in late blocks, which have less time, a transaction is first three times, and then has all of it',
  async (t) => {
    const { chain, close } = await openTestChain(`${t.testdir()}/db`)
    t.teardown(close)
    const heavy = signedTx(alice, { nonce: 0n, to: null, data: ENDLESS, gasLimit: 16_000_000n })
    const [reasons, firsts]: [TxRefusal[], (string | null)[]] = [[], []]
    let ms = GENESIS_MS + 60_000
    const { producer } = aProducer(
      chain,
      60,
      {
        now: () => ++ms,
        candidates: (first) => {
          firsts.push(first)
          return [heavy]
        },
        onSkipped: (list) => void reasons.push(...list.map(({ reason }) => reason)),
      },
      // Half as late as a block can be.
      { lateMsMax: 120_000, deferralsMax: 3 },
    )
    for (let i = 0; i < 4; i++) await producer.produceIfDue()
    const codes = reasons.map(({ code }) => code)
    t.same(codes, ['out-of-time', 'out-of-time', 'out-of-time', 'computes-too-long'])
    const [ran, has] = reasons.at(-1)?.message.match(/\d+(?= ms)/g) ?? []
    t.ok(Number(ran) >= 0.9 * Number(has), `${ran} of ${has} ms`)
    const hash = txHash(heavy)
    t.same(firsts, [null, hash, hash, hash])
  },
)
