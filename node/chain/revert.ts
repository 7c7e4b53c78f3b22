/** Why a call reverted, in words: `Error(string)` and `Panic(uint256)`. Solidity documentation, "Error handling". */
import { bytesToBigint, toHex } from '../base/bytes.ts'

/** null for anything else. */
export function revertReason(data: Uint8Array): string | null {
  const selector = toHex(data.subarray(0, 4))
  const body = data.subarray(4)
  if (selector === '0x4e487b71' && body.length === 32) {
    const code = bytesToBigint(body)
    return PANICS[Number(code)] ?? `panic code 0x${code.toString(16)}`
  }
  if (selector !== '0x08c379a0' || body.length < 64) return null
  const offset = bytesToBigint(body.subarray(0, 32))
  if (offset !== 32n) return null
  const length = bytesToBigint(body.subarray(32, 64))
  if (length > BigInt(body.length - 64)) return null
  return new TextDecoder().decode(body.subarray(64, 64 + Number(length)))
}

const PANICS: Readonly<Record<number, string>> = {
  0: 'generic panic',
  1: 'assert(false)',
  17: 'arithmetic underflow or overflow',
  18: 'division or modulo by zero',
  33: 'enum overflow',
  34: 'invalid encoded storage byte array accessed',
  49: 'out-of-bounds array access; popping on an empty array',
  50: 'out-of-bounds access of an array or bytesN',
  65: 'out of memory',
  81: 'uninitialized function',
}
