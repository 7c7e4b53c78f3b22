/**
 * The calldata of `ReceiptRegistry.settle`, read as the contract reads it. Solidity follows whatever offsets the caller
 * wrote: they may overlap, lie out of order or point backwards (it compares them signed), and beyond the end are zeros.
 * A stricter reader would not see receipts that consensus has settled, and nobody would check them.
 *
 *   selector ‖ offset ─> count ‖ offset_i ─> receipt (22 words) ‖ … ‖ offset ─> length ‖ sketch
 *
 * What comes out is a reading and no proof: whether it settled, the receipt's hash among the logs tells.
 */
import type { AbiFunction, AbiParameter } from 'viem'
import { toFunctionSelector } from 'viem/utils'
import { ReceiptRegistry } from '../../genesis/contracts.generated.ts'
import { bigintToBytes, bytesToBigint, type Hex, toHex } from '../base/bytes.ts'
import { type InferenceReceipt, RECEIPT_TYPES } from './receipt.ts'

export type SettleArgument = {
  readonly receipt: InferenceReceipt
  readonly sketch: Uint8Array
  readonly claims: Uint8Array
}

/** `SETTLEMENTS_MAX` of the contract. */
const SETTLEMENTS_MAX = 64n
const WORD = 32n
const MODULUS = 2n ** 256n

type Struct = AbiParameter & { readonly components: readonly AbiParameter[] }
const settle = ReceiptRegistry.abi.find(
  (item) => item.type === 'function' && item.name === 'settle',
) as unknown as AbiFunction
const SELECTOR = toFunctionSelector(settle)
/** Where a Settlement holds each of its members, in bytes. */
const PLACES: ReadonlyMap<string, bigint> = placesOf(settle.inputs[0] as Struct)

/** What `settle` was asked; nothing when the calldata is no such call. Never throws. */
export function decodeSettle(calldata: Uint8Array): SettleArgument[] {
  if (toHex(calldata.subarray(0, 4)) !== SELECTOR) return []
  const read = new Reader(calldata.subarray(4))
  const batch = read.word(0n)
  const count = read.word(batch)
  if (count > SETTLEMENTS_MAX) return []
  const first = batch + WORD
  const found: SettleArgument[] = []
  for (let i = 0n; i < count; i++) {
    const at = first + read.word(first + i * WORD)
    const sketch = read.bytes(at, 'sketch')
    const claims = read.bytes(at, 'claims')
    // The call would have reverted.
    if (!sketch || !claims) return []
    found.push({ receipt: read.receipt(at), sketch, claims })
  }
  return found
}

/** Positions are numbers modulo 2^256. */
class Reader {
  readonly #data: Uint8Array

  constructor(data: Uint8Array) {
    this.#data = data
  }

  word(position: bigint): bigint {
    const at = position % MODULUS
    if (at >= this.#data.length) return 0n
    const word = new Uint8Array(32)
    word.set(this.#data.subarray(Number(at), Number(at) + 32))
    return bytesToBigint(word)
  }

  /** The bytes a struct at `base` points to; null when they do not lie in the calldata. */
  bytes(base: bigint, member: string): Uint8Array | null {
    const at = base + this.word(base + placeOf(member))
    const size = this.word(at)
    if (size === 0n) return new Uint8Array(0)
    const from = (at + WORD) % MODULUS
    if (from + size > this.#data.length) return null
    return this.#data.slice(Number(from), Number(from + size))
  }

  receipt(base: bigint): InferenceReceipt {
    const at = base + placeOf('receipt')
    const fields = RECEIPT_TYPES.InferenceReceipt.map(({ name, type }, i) => [
      name,
      fieldOf(type, this.word(at + BigInt(i) * WORD)),
    ])
    return Object.fromEntries(fields) as InferenceReceipt
  }
}

/** High bits that do not belong to the type are refused by the contract. */
function fieldOf(type: string, word: bigint): Hex | number | bigint {
  switch (type) {
    case 'bytes32':
      return toHex(bigintToBytes(word, 32))
    case 'address':
      return toHex(bigintToBytes(word % 2n ** 160n, 20))
    case 'uint32':
      return Number(word % 2n ** 32n)
    case 'uint64':
      return word % 2n ** 64n
    default:
      return word
  }
}

function placeOf(member: string): bigint {
  return PLACES.get(member) as bigint
}

function placesOf({ components }: Struct): Map<string, bigint> {
  const places = new Map<string, bigint>()
  let at = 0n
  for (const component of components) {
    places.set(component.name ?? '', at)
    at += WORD * BigInt('components' in component ? (component as Struct).components.length : 1)
  }
  return places
}
