/**
 * A plain Ethereum chain of two blocks that does everything a tracer can see: calls of every kind, creations
 * that live, fail and destroy themselves, logs that stay and that are reverted, precompiles, transient storage,
 * a delegated account, a call without money for it, code that stops by ending.
 */
import type { Hex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { opcodeName } from '../../node/chain/opcodes.ts'
import { EthereumChain } from '../../node/ethereum/chain.ts'
import { readGenesis } from '../../node/ethereum/genesis.ts'
import { Store } from '../../node/store/store.ts'
import { alice, bob, ETHER, signedTx } from './chain.ts'

export const TRACED_CHAIN_ID = 90_211

const MAIN: Hex = `0x${'aa'.repeat(20)}`
const LEAF: Hex = `0x${'1e'.repeat(20)}`
const REVERTER: Hex = `0x${'7e'.repeat(20)}`
const BROKEN: Hex = `0x${'b0'.repeat(20)}`

const OPCODES: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 256 }, (_, op) => [opcodeName(op), op] as const),
)

/** Opcode names and hex numbers; a number becomes the PUSH that holds it. */
export function asm(source: string): Hex {
  const bytes = source
    .trim()
    .split(/\s+/)
    .map((token) => {
      const op = OPCODES.get(token)
      if (op !== undefined) return op.toString(16).padStart(2, '0')
      const digits = token.replace(/^0x/, '')
      const data = digits.length % 2 ? `0${digits}` : digits
      return `${(0x5f + data.length / 2).toString(16)}${data}`
    })
  return `0x${bytes.join('')}`
}

/** Keeps its caller in a slot, logs, answers a word. */
const leaf = `CALLER 0x00 SSTORE  0x00 SLOAD 0x01 SSTORE  0x2a 0x00 MSTORE  0x1234 0x20 0x00 LOG1
  0x20 0x00 RETURN`
/** Logs, then reverts with Error("no"). */
const reverter = `0x00 0x00 LOG0
  0x08c379a000000000000000000000000000000000000000000000000000000000 0x00 MSTORE
  0x20 0x04 MSTORE  0x02 0x24 MSTORE
  0x6e6f000000000000000000000000000000000000000000000000000000000000 0x44 MSTORE  0x64 0x00 REVERT`
/** Jumps nowhere. */
const broken = '0x05 JUMP'
/** Initcode: sends its value to bob and is gone. */
const dying = asm(`${bob.address} SELFDESTRUCT`).slice(2)
/** Initcode of a contract whose code is one STOP. */
const living = asm('0x01 0x00 RETURN').slice(2)

/** Some gas only: what fails by a halt takes all of it. */
const call = (kind: string, to: Hex | string, value: string | null): string =>
  `0x20 0x80 0x04 0x00 ${value ?? ''} ${to} 0xea60 ${kind} POP`

const main = `
  0x0badf00d00000000000000000000000000000000000000000000000000000000 0x00 MSTORE
  ${call('CALL', LEAF, '0x07')}
  ${call('DELEGATECALL', LEAF, null)}
  ${call('CALLCODE', LEAF, '0x01')}
  ${call('STATICCALL', LEAF, null)}
  ${call('STATICCALL', '0x04', null)}
  ${call('CALL', '0x02', '0x00')}
  ${call('CALL', REVERTER, '0x00')}
  ${call('CALL', BROKEN, '0x00')}
  ${call('CALL', bob.address, '0xffffffffffffffffffff')}
  RETURNDATASIZE POP
  0x${dying} 0x00 MSTORE  0x16 0x0a 0x03 CREATE POP
  0x${living} 0x00 MSTORE  0x99 0x05 0x1b 0x00 CREATE2
  DUP1 EXTCODESIZE POP  EXTCODEHASH POP
  0x20 0x00 KECCAK256 POP
  0x01 0x00 TSTORE  0x00 TLOAD POP
  ${bob.address} BALANCE POP
  0x00 0x05 SSTORE
  0x01 0x02 0x20 0x00 LOG2`

const genesis = {
  config: {
    chainId: TRACED_CHAIN_ID,
    ...Object.fromEntries(
      'homestead eip150 eip155 eip158 byzantium constantinople petersburg istanbul berlin london'
        .split(' ')
        .map((name) => [`${name}Block`, 0]),
    ),
    mergeNetsplitBlock: 0,
    terminalTotalDifficulty: 0,
    shanghaiTime: 0,
    cancunTime: 0,
    pragueTime: 0,
    depositContractAddress: '0x00000000219ab540356cbb839cbe05303d7705fa',
    blobSchedule: {
      cancun: { target: 3, max: 6, baseFeeUpdateFraction: 3_338_477 },
      prague: { target: 6, max: 9, baseFeeUpdateFraction: 5_007_716 },
    },
  },
  timestamp: '0x64',
  gasLimit: '0x1c9c380',
  difficulty: '0x0',
  alloc: {
    [alice.address]: { balance: toQuantity(1_000n * ETHER) },
    [bob.address]: { balance: toQuantity(ETHER) },
    [MAIN]: { balance: '0x64', code: asm(main), storage: { '0x05': '0x01' } },
    [LEAF]: { balance: '0x0', code: asm(leaf) },
    [REVERTER]: { balance: '0x0', code: asm(reverter) },
    [BROKEN]: { balance: '0x0', code: asm(broken) },
    // The system contracts of EIP-7002 and EIP-7251, as far as an empty block needs them: they answer nothing.
    '0x00000961ef480eb55e80d19ad83579a64c007002': { balance: '0x0', code: '0x00' },
    '0x0000bbddc7ce488642fb579f8b00f3a590007251': { balance: '0x0', code: '0x00' },
  },
}

export const TRACED_GENESIS: string = JSON.stringify(genesis)

/** Block 1: the contract does it all. Block 2: a transfer, a creation, a transaction that fails. */
export async function openTracedChain(path: string): Promise<{
  chain: EthereumChain
  close(): Promise<void>
}> {
  const store = await Store.open(path)
  const chain = await EthereumChain.open({
    genesis: await readGenesis(TRACED_GENESIS),
    store,
    log: silentLog,
  })
  const sign = (nonce: bigint, fields: object): Uint8Array =>
    signedTx(alice, { nonce, chainId: TRACED_CHAIN_ID, gasLimit: 1_000_000n, ...fields })
  const data = Uint8Array.of(0xca, 0xfe, 0xba, 0xbe, 1, 2, 3)
  await append(chain, [sign(0n, { to: MAIN, value: 5n, data })])
  await append(chain, [
    sign(1n, { to: bob.address, value: 9n, gasLimit: 21_000n }),
    sign(2n, { to: null, data: bytesOf(`0x${living}`) }),
    sign(3n, { to: REVERTER, data }),
    sign(4n, { to: BROKEN, gasLimit: 50_000n }),
    sign(5n, { to: MAIN, gasLimit: 120_000n, data: Uint8Array.of(1) }),
  ])
  return { chain, close: () => store.close() }
}

async function append(chain: EthereumChain, transactions: Uint8Array[]): Promise<void> {
  const parent = chain.head('unsafe')
  const built = await chain.build({
    coinbase: `0x${'c0'.repeat(20)}`,
    timestamp: parent.timestamp + 12n,
    gasLimit: parent.gasLimit,
    mixHash: `0x${'11'.repeat(32)}`,
    extraData: new Uint8Array(0),
    parentBeaconBlockRoot: `0x${'22'.repeat(32)}`,
    transactions,
  })
  if (built.kind === 'invalid') throw new Error(built.reason)
  const result = await chain.importBlock(built.block)
  if (result.kind !== 'imported') throw new Error(JSON.stringify(result))
}

function bytesOf(hex: Hex): Uint8Array {
  return Buffer.from(hex.slice(2), 'hex')
}

function toQuantity(value: bigint): Hex {
  return `0x${value.toString(16)}`
}

/** Every tracer, with the options that change what it says. */
export const TRACE_CONFIGS: Readonly<Record<string, object>> = {
  structLogs: { enableMemory: true, enableReturnData: true },
  'structLogs, bare': { disableStack: true, disableStorage: true },
  callTracer: { tracer: 'callTracer', tracerConfig: { withLog: true } },
  'callTracer, top': { tracer: 'callTracer', tracerConfig: { onlyTopCall: true, withLog: true } },
  prestateTracer: { tracer: 'prestateTracer' },
  'prestateTracer, diff': { tracer: 'prestateTracer', tracerConfig: { diffMode: true } },
  'prestateTracer, no code': {
    tracer: 'prestateTracer',
    tracerConfig: { disableCode: true, disableStorage: true, includeEmpty: true },
  },
  '4byteTracer': { tracer: '4byteTracer' },
  flatCallTracer: { tracer: 'flatCallTracer' },
  'flatCallTracer, parity': {
    tracer: 'flatCallTracer',
    tracerConfig: { convertParityErrors: true, includePrecompiles: true },
  },
  erc7562Tracer: { tracer: 'erc7562Tracer', tracerConfig: { withLog: true } },
  muxTracer: { tracer: 'muxTracer', tracerConfig: { callTracer: {}, '4byteTracer': {} } },
  noopTracer: { tracer: 'noopTracer' },
}
