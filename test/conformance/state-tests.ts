/**
 * Runs Ethereum's state tests (Execution Spec Tests, Prague) through our world state, transaction checks and
 * EVM: one transaction each, post-state root and logs hash compared. Not part of `npm test`; give it
 * the unpacked folder:
 *
 *   node test/conformance/state-tests.ts <folder> [only files whose path contains this]
 *
 * Blob transactions (type 3) do not exist on L2 and are left out. A reject is right when a reject was expected.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAddressFromString } from '@ethereumjs/util'
import { runTx } from '@ethereumjs/vm'
import {
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { EMPTY_ACCOUNT } from '../../node/chain/account.ts'
import { TxError } from '../../node/chain/errors.ts'
import { logsOf } from '../../node/chain/execute-deposit.ts'
import { executePlain } from '../../node/chain/execute-plain.ts'
import { createMachine, type Machine } from '../../node/chain/machine.ts'
import { encodeRlp } from '../../node/chain/rlp.ts'
import { rollupRules } from '../../node/chain/rules.ts'
import { type StateReader, type StateWrites, trimmed, WorldState } from '../../node/chain/state.ts'
import { EMPTY_ROOT } from '../../node/chain/trie.ts'
import { decodeTx, effectiveGasPrice, refusalOf, type SignedTx } from '../../node/chain/tx.ts'

type Account = { nonce: Hex; balance: Hex; code: Hex; storage: Record<Hex, Hex> }
type Case = {
  env: Record<string, Hex>
  pre: Record<Hex, Account>
  post: Record<string, { hash: Hex; logs: Hex; txbytes: Hex; expectException?: string }[]>
}

const CHAIN_ID = 1

class Disk implements StateReader {
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #codes = new Map<string, Uint8Array>()
  node(hash: Uint8Array): Uint8Array | undefined {
    return this.#nodes.get(toHex(hash))
  }
  code(hash: Uint8Array): Uint8Array | undefined {
    return this.#codes.get(toHex(hash))
  }
  keep(writes: StateWrites): Uint8Array {
    for (const { hash, rlp } of writes.nodes) this.#nodes.set(toHex(hash), rlp)
    for (const { hash, code } of writes.codes) this.#codes.set(toHex(hash), code)
    return writes.stateRoot
  }
}

const word = (hex: string): Hex => `0x${hex.slice(2).padStart(64, '0')}`
const even = (hex: string): Hex => (hex.length % 2 ? `0x0${hex.slice(2)}` : (hex as Hex))

async function preState(pre: Case['pre']): Promise<{ disk: Disk; root: Uint8Array }> {
  const disk = new Disk()
  const state = new WorldState(disk, EMPTY_ROOT)
  for (const [address, account] of Object.entries(pre) as [Hex, Account][]) {
    const { nonce, balance, code, storage } = account
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce: BigInt(nonce), balance: BigInt(balance) })
    if (code !== '0x') await state.putCode(createAddressFromString(address), fromHex(code))
    for (const [slot, value] of Object.entries(storage)) {
      state.setSlot(address, word(slot), trimmed(fromHex(even(value))))
    }
  }
  return { disk, root: disk.keep(state.finish()) }
}

/** null: as expected. */
async function run(one: Case): Promise<string | null> {
  const post = Object.values(one.post)[0]?.[0]
  if (!post) return 'no post state'
  const { disk, root } = await preState(one.pre)
  const state = new WorldState(disk, root)
  const env = (name: string, or: Hex = '0x0'): bigint => BigInt(one.env[name] ?? or)
  const machine = createMachine({
    rules: rollupRules(CHAIN_ID),
    state,
    environment: {
      number: env('currentNumber'),
      coinbase: one.env.currentCoinbase as Hex,
      timestamp: env('currentTimestamp'),
      gasLimit: env('currentGasLimit'),
      mixHash: word(one.env.currentRandom ?? ZERO_HASH),
      baseFeePerGas: env('currentBaseFee', '0xa'),
    },
  })
  const ancestors = { getBlock: async (n: number) => ({ hash: () => keccak(utf8(`${n}`)) }) }
  ;(machine.evm as unknown as { blockchain: unknown }).blockchain = ancestors

  let logs = keccakHex(encodeRlp([]))
  let rejected: string | null = null
  try {
    const tx = decodeTx(fromHex(post.txbytes), CHAIN_ID)
    const account = state.account(tx.sender)
    const refusal = refusalOf(tx, {
      account,
      code: () => (account ? state.code(account.codeHash) : new Uint8Array(0)),
      baseFee: machine.block.header.baseFeePerGas ?? 0n,
      gasLeft: machine.block.header.gasLimit,
      l1Fee: 0n,
    })
    if (refusal) throw new TxError(refusal)
    const price = effectiveGasPrice(tx, machine.block.header.baseFeePerGas ?? 0n)
    const plain = await executePlain(machine, tx, price)
    if (plain) counts.plain++
    const evmLogs = plain ? plain.logs : (await runGeneral(machine, tx)).execResult.logs
    const items = logsOf(evmLogs).map((log) => [
      fromHex(log.address),
      log.topics.map(fromHex),
      log.data,
    ])
    logs = keccakHex(encodeRlp(items))
  } catch (error) {
    if (!(error instanceof TxError)) throw error
    rejected = `${error.code}: ${error.message}`
    machine.unwind(0)
  }
  if ((rejected !== null) !== (post.expectException !== undefined)) {
    return `${rejected ?? 'accepted'}, expected ${post.expectException ?? 'success'}`
  }
  const got = toHex(state.finish().stateRoot)
  if (got !== post.hash) return `root ${got}, expected ${post.hash}`
  return logs === post.logs ? null : 'logs differ'
}

function runGeneral({ vm, block }: Machine, tx: SignedTx): ReturnType<typeof runTx> {
  return runTx(vm, { tx: tx.inner, block, skipHardForkValidation: true })
}

const [folder, only = ''] = process.argv.slice(2)
if (!folder) throw new Error('which folder?')
const counts = { passed: 0, failed: 0, left: 0, plain: 0 }
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.json') || !name.includes(only)) continue
  const cases = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, Case>
  for (const [id, one] of Object.entries(cases)) {
    if (Object.values(one.post)[0]?.[0]?.txbytes.startsWith('0x03')) {
      counts.left++
      continue
    }
    const fault = await run(one).catch(
      (error: unknown) => `threw ${error instanceof Error ? error.stack : error}`,
    )
    if (fault === null) counts.passed++
    else {
      counts.failed++
      console.log(`${id}\n  ${fault}`)
    }
  }
}
console.log(
  `${counts.passed} passed, ${counts.failed} failed, ${counts.left} left out (blob transactions); ${counts.plain} run as plain transactions`,
)
process.exitCode = counts.failed ? 1 : 0
