/** What a vote may do to the machine itself: a predeploy's code, a precompile's price. */
import t from 'tap'
import { type Abi, encodeFunctionData, parseAbi, toHex } from 'viem'
import { OP, OPENLEDGER, PRECOMPILE } from '../../genesis/addresses.ts'
import { PrecompileGas } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { PrecompileBench } from '../support/precompile.ts'

const abi = parseAbi(['function upgrade(address target, address source) returns (bytes32)'])
const upgradeData = (target: Hex, source: Hex): Hex =>
  encodeFunctionData({ abi, functionName: 'upgrade', args: [target, source] })
const from = OPENLEDGER.openTimelock
const SOURCE: Hex = `0x${'c0'.repeat(20)}`
/** Returns 42. */
const CODE: Hex = '0x602a60005260206000f3'

async function open(): Promise<PrecompileBench> {
  const bench = new PrecompileBench()
  await bench.setCode(SOURCE, CODE)
  for (const address of [OPENLEDGER.market, OP.l1Block, from, OP.l2ToL1MessagePasser])
    await bench.setCode(address, '0x6000')
  return bench
}

t.test('the timelock gives a predeploy another code, and nothing else of it changes', async (t) => {
  const bench = await open()
  const at = bench.state.account(OPENLEDGER.market)
  const done = await bench.call(PRECOMPILE.upgrade, upgradeData(OPENLEDGER.market, SOURCE), {
    from,
  })
  t.ok(done.ok)
  t.equal(done.gasUsed, 37_200n + 200n * 10n)
  const after = bench.state.account(OPENLEDGER.market)
  t.equal(toHex(done.output), toHex(after?.codeHash as Uint8Array))
  t.same({ ...after, codeHash: null }, { ...at, codeHash: null })
  const { output } = await bench.call(OPENLEDGER.market, '0x')
  t.equal(BigInt(toHex(output)), 42n)
})

t.test('nobody else may, nothing else can be replaced, and only code replaces', async (t) => {
  const bench = await open()
  await bench.setCode(`0x${'d0'.repeat(20)}`, `0xef0100${'11'.repeat(20)}`)
  const rows: [string, Hex, Hex, object][] = [
    ['another caller', OPENLEDGER.market, SOURCE, { from: OPENLEDGER.openGovernor }],
    ['a static call', OPENLEDGER.market, SOURCE, { from, isStatic: true }],
    ['the exit window', OPENLEDGER.openTimelock, SOURCE, { from }],
    ['the way out', OP.l2ToL1MessagePasser, SOURCE, { from }],
    ['no predeploy', SOURCE, OPENLEDGER.market, { from }],
    ['an empty place of the range', OPENLEDGER.staking, SOURCE, { from }],
    ['no code', OPENLEDGER.market, `0x${'e0'.repeat(20)}`, { from }],
    ['a delegation', OPENLEDGER.market, `0x${'d0'.repeat(20)}`, { from }],
    ['too little gas', OPENLEDGER.market, SOURCE, { from, gas: 39_199n }],
  ]
  for (const [what, target, source, options] of rows) {
    const { ok } = await bench.call(PRECOMPILE.upgrade, upgradeData(target, source), options)
    t.equal(ok, false, what)
  }
  t.equal(
    (await bench.call(PRECOMPILE.upgrade, upgradeData(OP.l1Block, SOURCE), { from })).ok,
    true,
  )
})

t.test(
  'a precompile costs what PrecompileGas says, within bounds, and is given no more gas',
  async (t) => {
    const bench = await open()
    await bench.setCode(OPENLEDGER.precompileGas, PrecompileGas.deployedBytecode)
    const percent = (value: bigint): Hex =>
      encodeFunctionData({
        abi: PrecompileGas.abi as Abi,
        functionName: 'setPercent',
        args: [PRECOMPILE.upgrade, value],
      })
    const call = (gas?: bigint) =>
      bench.call(PRECOMPILE.upgrade, upgradeData(OPENLEDGER.market, SOURCE), {
        from,
        ...(gas && { gas }),
      })
    const specified = 39_200n
    for (const [voted, gas] of [
      [250n, 98_000n],
      [50n, 19_600n],
      // ceil(39,200 * 101 / 100)
      [101n, 39_592n],
    ] as const) {
      t.ok((await bench.call(OPENLEDGER.precompileGas, percent(voted), { from })).ok)
      t.equal((await call(gas)).gasUsed, gas, `${voted} per cent`)
      t.match(await call(gas - 1n), { ok: false, gasUsed: gas - 1n }, 'a unit less is too little')
    }
    for (const outside of [0n, 49n, 2_001n])
      t.notOk((await bench.call(OPENLEDGER.precompileGas, percent(outside), { from })).ok)
    const stranger = { from: OPENLEDGER.openGovernor }
    t.notOk((await bench.call(OPENLEDGER.precompileGas, percent(100n), stranger)).ok)
    bench.state.setSlot(OPENLEDGER.precompileGas, slotOf(PRECOMPILE.upgrade), Uint8Array.of(1))
    t.equal((await call()).gasUsed, specified / 2n, 'whatever stands there, half is the least')
  },
)

function slotOf(address: Hex): Hex {
  return `0x${address.slice(2).padStart(64, '0')}`
}
