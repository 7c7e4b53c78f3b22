/**
 * Two parts of a simulated block: its transactions as bytes, signed by zeros, and its log.
 */
import { bigintToBytes, concatBytes, fromHex, type Hex, keccakHex } from '../base/bytes.ts'
import type { Machine } from './machine.ts'
import type { Message } from './message.ts'
import { type Frame, type FrameEnd, observe } from './observe.ts'
import { encodeRlp, integer, type RlpItem } from './rlp.ts'
import type { SimulatedLog, SimulatedTx } from './simulation.ts'
import type { Log } from './types.ts'

/** ERC-7528 and ERC-20's `Transfer(address,address,uint256)`. */
const NATIVE: Hex = `0x${'ee'.repeat(20)}`
const TRANSFER: Hex = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'

/** As it would be signed, with zeros for a signature. */
export function simulatedTx(
  chainId: number,
  nonce: bigint,
  message: Message,
  isLegacy: boolean,
): SimulatedTx {
  const {
    to,
    gasLimit,
    value,
    data,
    accessList = [],
    authorizationList,
    blobVersionedHashes,
  } = message
  const type = isLegacy ? 0 : authorizationList ? 4 : blobVersionedHashes ? 3 : 2
  const unsigned = [integer(0n), integer(0n), integer(0n)]
  const target = to === null ? new Uint8Array(0) : fromHex(to)
  const list = accessList.map(({ address, storageKeys }) => [
    fromHex(address),
    storageKeys.map(fromHex),
  ])
  if (type === 0) {
    const price = integer(message.maxFeePerGas)
    const raw = encodeRlp([
      integer(nonce),
      price,
      integer(gasLimit),
      target,
      integer(value),
      data,
      ...unsigned,
    ])
    return { hash: keccakHex(raw), raw, type, nonce, message }
  }
  const body: RlpItem[] = [
    integer(chainId),
    integer(nonce),
    integer(message.maxPriorityFeePerGas),
    integer(message.maxFeePerGas),
    integer(gasLimit),
    target,
    integer(value),
    data,
    list,
  ]
  if (type === 3) {
    body.push(integer(message.maxFeePerBlobGas ?? 0n), (blobVersionedHashes ?? []).map(fromHex))
  }
  if (type === 4) {
    body.push(
      (authorizationList ?? []).map((one) => [
        integer(one.chainId),
        fromHex(one.address),
        integer(one.nonce),
        integer(one.yParity),
        integer(one.r),
        integer(one.s),
      ]),
    )
  }
  const raw = concatBytes(Uint8Array.of(type), encodeRlp([...body, ...unsigned]))
  return { hash: keccakHex(raw), raw, type, nonce, message }
}

/** Logs, and on request native transfers, of each message in order. Those of frames that fail are taken back; the
 * numbers they had are not given again, as in geth. */
export class MessageLog {
  #logs: SimulatedLog[] = []
  #count = 0
  /** How many there were when each open frame began. */
  #marks: number[] = []

  constructor(machine: Machine, withTransfers: boolean) {
    const observer = {
      enter: ({ type, from, to, value }: Frame) => {
        this.#marks.push(this.#logs.length)
        if (withTransfers && value && type !== 'DELEGATECALL')
          this.#add(transferLog(from, to, value))
      },
      exit: ({ error }: FrameEnd) => {
        const mark = this.#marks.pop() ?? 0
        if (error !== null) this.#logs.length = mark
      },
      log: (log: Log) => {
        this.#add(log)
      },
    }
    observe(machine, () => observer, { frames: true, steps: false, logs: true })
  }

  begin(): void {
    this.#logs = []
    this.#marks = []
  }

  logs(): readonly SimulatedLog[] {
    return this.#logs
  }

  #add(log: Log): void {
    this.#logs.push({ log, logIndex: this.#count++ })
  }
}

function transferLog(from: Hex, to: Hex, value: bigint): Log {
  const word = (address: Hex): Hex => `0x${address.slice(2).padStart(64, '0')}`
  return {
    address: NATIVE,
    topics: [TRANSFER, word(from), word(to)],
    data: bigintToBytes(value, 32),
  }
}
