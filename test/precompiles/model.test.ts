/** MODEL in the EVM: who may write, from where, at what price, and what stays after a revert. */
import t from 'tap'
import { OPENLEDGER, PRECOMPILE } from '../../genesis/addresses.ts'
import { MODEL_CHUNK_BYTES_MAX } from '../../genesis/limits.ts'
import { spanCorpus } from '../../node/attribution/corpus.ts'
import {
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { EMPTY_ACCOUNT } from '../../node/chain/account.ts'
import { corpusGas, putGas, sealGas } from '../../precompiles/gas.ts'
import {
  accountOf,
  forwarder,
  PrecompileBench,
  putData,
  sealOf,
  tableOf,
} from '../support/precompile.ts'

const REGISTRY = OPENLEDGER.modelRegistry
const OUTER: Hex = `0x${'0e'.repeat(20)}`
const USER: Hex = `0x${'05'.repeat(20)}`
const chunk = fromHex('0x0001c0ffee')
const chunkAddress: Hex = `0x${keccakHex(chunk).slice(-40)}`
const table = tableOf([
  [3, -1, 4],
  [1, 5, 9],
])

t.test('put stores a chunk as code at its content address, with nonce 1', async (t) => {
  const bench = new PrecompileBench()
  const { ok, output, gasUsed } = await bench.put(chunk)
  t.ok(ok)
  t.equal(toHex(output), `0x${'00'.repeat(12)}${chunkAddress.slice(2)}`)
  t.equal(gasUsed, putGas(chunk.length))
  t.match(bench.state.account(chunkAddress), { nonce: 1n, codeHash: fromHex(keccakHex(chunk)) })
  t.same((await bench.put(chunk)).output, output, 'again: the same, no change')
  t.equal(bench.state.account(chunkAddress)?.nonce, 1n)
})

t.test('an address that already holds OPEN keeps it', async (t) => {
  const bench = new PrecompileBench()
  bench.state.setAccount(chunkAddress, { ...EMPTY_ACCOUNT, balance: 9n })
  t.ok((await bench.put(chunk)).ok)
  t.match(bench.state.account(chunkAddress), { nonce: 1n, balance: 9n })
})

t.test('stored code stops at once when called', async (t) => {
  const bench = new PrecompileBench()
  await bench.put(chunk)
  t.match(await bench.call(chunkAddress, '0x'), { ok: true, gasUsed: 0n })
})

t.test('only ModelRegistry writes, by a plain call without value', async (t) => {
  for (const how of ['staticcall', 'delegatecall', 'callcode'] as const) {
    const bench = new PrecompileBench()
    await bench.setCode(REGISTRY, forwarder(PRECOMPILE.model, how))
    const { ok, output } = await bench.call(REGISTRY, putData(chunk), { from: USER })
    t.ok(ok)
    t.equal(output[31], 0, `${how} fails`)
    t.notOk(bench.hasCode(chunkAddress), how)
  }
  const bench = new PrecompileBench()
  t.match(
    await bench.put(chunk, { from: USER }),
    { ok: false, gasUsed: 500_000_000n },
    'another caller',
  )
  t.notOk((await bench.put(chunk, { isStatic: true })).ok)
  bench.state.setAccount(REGISTRY, { ...EMPTY_ACCOUNT, balance: 5n })
  t.notOk((await bench.put(chunk, { value: 1n })).ok)
  t.equal(bench.state.account(REGISTRY)?.balance, 5n, 'the value came back')
  t.notOk(bench.hasCode(chunkAddress))
})

t.test('a static call further out forbids the write further in', async (t) => {
  const bench = new PrecompileBench()
  await bench.setCode(REGISTRY, forwarder(PRECOMPILE.model, 'call'))
  await bench.setCode(OUTER, forwarder(REGISTRY, 'staticcall'))
  const { output } = await bench.call(OUTER, putData(chunk), { from: USER })
  t.equal(output[31], 1, 'the registry itself returned')
  t.equal(output[63], 0, 'its call to MODEL failed')
  t.notOk(bench.hasCode(chunkAddress))
})

t.test('nothing stays of what a reverted frame wrote, whichever frame it was', async (t) => {
  const bench = new PrecompileBench()
  await bench.setCode(REGISTRY, forwarder(PRECOMPILE.model, 'call', { thenRevert: true }))
  const direct = await bench.call(REGISTRY, putData(chunk), { from: USER })
  t.notOk(direct.ok)
  t.equal(direct.output[31], 1, 'the put itself had succeeded')
  t.notOk(bench.hasCode(chunkAddress))
  await bench.setCode(REGISTRY, forwarder(PRECOMPILE.model, 'call'))
  await bench.setCode(OUTER, forwarder(REGISTRY, 'call', { thenRevert: true }))
  t.notOk((await bench.call(OUTER, putData(chunk), { from: USER })).ok)
  t.notOk(bench.hasCode(chunkAddress))
  t.equal(bench.state.account(chunkAddress), null, 'not even an empty account')
})

t.test(
  'two calls in one transaction, and a call after one that failed, each know their own caller',
  async (t) => {
    const bench = new PrecompileBench()
    await bench.setCode(REGISTRY, forwarder(PRECOMPILE.model, 'call', { times: 2 }))
    t.equal((await bench.call(REGISTRY, putData(chunk), { from: USER })).output[31], 1)
    t.ok(bench.hasCode(chunkAddress))
    // OUTER calls MODEL itself (refused); the registry, called after it, is still let in.
    await bench.setCode(OUTER, forwarder(PRECOMPILE.model, 'call', { times: 2 }))
    t.equal((await bench.call(OUTER, putData(chunk), { from: USER })).output[31], 0)
    t.equal(bench.machine.evm.frame, undefined, 'no frame is left behind')
    t.ok((await bench.put(fromHex('0x0001bb'))).ok)
  },
)

t.test('gas is taken before the work, exactly, and running out stores nothing', async (t) => {
  const bench = new PrecompileBench()
  const gas = putGas(chunk.length)
  t.match(await bench.put(chunk, { gas: gas - 1n }), {
    ok: false,
    error: 'out of gas',
    gasUsed: gas - 1n,
  })
  t.notOk(bench.hasCode(chunkAddress))
  t.ok((await bench.put(chunk, { gas })).ok)
  const { chunks, seal } = sealOf(table)
  for (const one of chunks) await bench.put(one)
  const sealPrice = sealGas(seal.length, { k: 3, contributors: 2, chunks: 1 })
  t.notOk((await bench.seal(seal, { gas: sealPrice - 1n })).ok)
  t.match(await bench.seal(seal, { gas: sealPrice }), { ok: true, gasUsed: sealPrice })
})

t.test('seal returns the hash of the manifest, once and again', async (t) => {
  const bench = new PrecompileBench()
  const { chunks, seal } = sealOf(table)
  t.notOk((await bench.seal(seal)).ok, 'chunks are missing')
  for (const one of chunks) await bench.put(one)
  const id = keccakHex(seal)
  t.equal(toHex((await bench.seal(seal)).output), id)
  t.equal(toHex((await bench.seal(seal)).output), id)
  t.ok(bench.hasCode(`0x${id.slice(-40)}`))
})

t.test('a manifest or table that is not exactly right is not sealed', async (t) => {
  const bench = new PrecompileBench()
  const { chunks, seal } = sealOf(table)
  for (const one of chunks) await bench.put(one)
  const changed = (at: number, value: number): Uint8Array => {
    const out = seal.slice()
    out[at] = value
    return out
  }
  const bad: [string, Uint8Array][] = [
    ['tag', changed(1, 1)],
    ['version', changed(2, 1)],
    ['k 0', changed(6, 0)],
    ['k above the table', changed(6, 4)],
    ['k above the limit', changed(5, 17)],
    ['no contributors', changed(10, 0)],
    ['too many contributors', changed(9, 17)],
    ['top 0', changed(12, 0)],
    ['top 65', changed(12, 65)],
    ['no chunks', changed(14, 0)],
    ['another chunk', changed(seal.length - 1, (seal[seal.length - 1] ?? 0) ^ 1)],
    ['too short', seal.subarray(0, seal.length - 1)],
    ['too long', concatBytes(seal, Uint8Array.of(0))],
    ['empty', new Uint8Array(0)],
  ]
  for (const [name, manifest] of bad) t.notOk((await bench.seal(manifest)).ok, name)
  t.ok((await bench.seal(seal)).ok)
  const rows = (first: Hex, second: Hex) => ({
    ...table,
    contributors: [first, second].map((account) => ({ account, multiplier: 1 })),
  })
  for (const [name, one] of [
    ['zero address', rows(`0x${'00'.repeat(20)}`, accountOf(1))],
    ['repeated account', rows(accountOf(1), accountOf(1))],
  ] as const) {
    const wrong = sealOf(one)
    for (const part of wrong.chunks) await bench.put(part)
    t.notOk((await bench.seal(wrong.seal)).ok, name)
  }
})

t.test('a model names a corpus that is stored whole, or none', async (t) => {
  const bench = new PrecompileBench()
  for (const one of sealOf(table).chunks) await bench.put(one)
  const row = { tokens: Uint32Array.of(1, 2, 3), contributor: 0, group: 0, content: ZERO_HASH }
  const corpus = await spanCorpus([row], { vocabulary: 9, least: 2 })
  const { seal } = sealOf(table, 32, keccakHex(corpus.record))
  t.notOk((await bench.seal(seal)).ok, 'the record is not stored')
  await bench.put(corpus.record)
  t.notOk((await bench.seal(seal)).ok, 'its table is not stored')
  for (const one of corpus.tables) await bench.put(one)
  const { ok, gasUsed } = await bench.seal(seal)
  t.ok(ok)
  const shape = { k: table.k, contributors: table.contributors.length, chunks: 1 }
  t.equal(gasUsed, sealGas(seal.length, shape) + corpusGas(1))
  t.notOk((await bench.seal(seal, { gas: gasUsed - 1n })).ok)
  await bench.put(chunk)
  t.notOk((await bench.seal(sealOf(table, 32, keccakHex(chunk)).seal)).ok, 'no corpus record')
})

t.test('malformed calls halt with all gas and never throw', async (t) => {
  const bench = new PrecompileBench()
  const good = fromHex(putData(chunk))
  const inputs: [string, Uint8Array][] = [
    ['nothing', new Uint8Array(0)],
    ['half a selector', good.subarray(0, 3)],
    ['a selector only', good.subarray(0, 4)],
    ['unknown selector', concatBytes(Uint8Array.of(9, 9, 9, 9), good.subarray(4))],
    ['cut', good.subarray(0, good.length - 1)],
    ['longer', concatBytes(good, new Uint8Array(32))],
    ['dirty padding', good.map((byte, i) => (i === good.length - 1 ? 1 : byte))],
    ['another offset', good.map((byte, i) => (i === 4 + 31 ? 0x40 : byte))],
    ['huge length', good.map((byte, i) => (i >= 36 && i < 68 ? 0xff : byte))],
    ['no tag', fromHex(putData(fromHex('0xffff')))],
    ['empty chunk', fromHex(putData(new Uint8Array(0)))],
    ['manifest as a chunk', fromHex(putData(sealOf(table).seal))],
    [
      'chunk too long',
      fromHex(putData(concatBytes(Uint8Array.of(0, 1), new Uint8Array(MODEL_CHUNK_BYTES_MAX)))),
    ],
    ['input too long', new Uint8Array(100_000)],
  ]
  for (const [name, data] of inputs) {
    t.match(
      await bench.call(PRECOMPILE.model, data, { gas: 9_000_000n }),
      { ok: false, gasUsed: 9_000_000n },
      name,
    )
  }
  const largest = concatBytes(Uint8Array.of(0, 1), new Uint8Array(MODEL_CHUNK_BYTES_MAX - 2))
  t.ok((await bench.put(largest)).ok, 'the largest chunk')
})
