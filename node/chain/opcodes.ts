/**
 * Opcodes by name and by what they take from the stack, and what goes wrong in a frame, all in geth's words:
 * tools read traces by these strings.
 */

/** Name, stack items needed, stack items left in their place. */
type Row = readonly [name: string, takes: number, gives: number]

const ROWS: Readonly<Record<number, Row>> = {
  0: ['STOP', 0, 0],
  1: ['ADD', 2, 1],
  2: ['MUL', 2, 1],
  3: ['SUB', 2, 1],
  4: ['DIV', 2, 1],
  5: ['SDIV', 2, 1],
  6: ['MOD', 2, 1],
  7: ['SMOD', 2, 1],
  8: ['ADDMOD', 3, 1],
  9: ['MULMOD', 3, 1],
  10: ['EXP', 2, 1],
  11: ['SIGNEXTEND', 2, 1],
  16: ['LT', 2, 1],
  17: ['GT', 2, 1],
  18: ['SLT', 2, 1],
  19: ['SGT', 2, 1],
  20: ['EQ', 2, 1],
  21: ['ISZERO', 1, 1],
  22: ['AND', 2, 1],
  23: ['OR', 2, 1],
  24: ['XOR', 2, 1],
  25: ['NOT', 1, 1],
  26: ['BYTE', 2, 1],
  27: ['SHL', 2, 1],
  28: ['SHR', 2, 1],
  29: ['SAR', 2, 1],
  30: ['CLZ', 1, 1],
  32: ['KECCAK256', 2, 1],
  48: ['ADDRESS', 0, 1],
  49: ['BALANCE', 1, 1],
  50: ['ORIGIN', 0, 1],
  51: ['CALLER', 0, 1],
  52: ['CALLVALUE', 0, 1],
  53: ['CALLDATALOAD', 1, 1],
  54: ['CALLDATASIZE', 0, 1],
  55: ['CALLDATACOPY', 3, 0],
  56: ['CODESIZE', 0, 1],
  57: ['CODECOPY', 3, 0],
  58: ['GASPRICE', 0, 1],
  59: ['EXTCODESIZE', 1, 1],
  60: ['EXTCODECOPY', 4, 0],
  61: ['RETURNDATASIZE', 0, 1],
  62: ['RETURNDATACOPY', 3, 0],
  63: ['EXTCODEHASH', 1, 1],
  64: ['BLOCKHASH', 1, 1],
  65: ['COINBASE', 0, 1],
  66: ['TIMESTAMP', 0, 1],
  67: ['NUMBER', 0, 1],
  // PREVRANDAO since the merge.
  68: ['DIFFICULTY', 0, 1],
  69: ['GASLIMIT', 0, 1],
  70: ['CHAINID', 0, 1],
  71: ['SELFBALANCE', 0, 1],
  72: ['BASEFEE', 0, 1],
  73: ['BLOBHASH', 1, 1],
  74: ['BLOBBASEFEE', 0, 1],
  80: ['POP', 1, 0],
  81: ['MLOAD', 1, 1],
  82: ['MSTORE', 2, 0],
  83: ['MSTORE8', 2, 0],
  84: ['SLOAD', 1, 1],
  85: ['SSTORE', 2, 0],
  86: ['JUMP', 1, 0],
  87: ['JUMPI', 2, 0],
  88: ['PC', 0, 1],
  89: ['MSIZE', 0, 1],
  90: ['GAS', 0, 1],
  91: ['JUMPDEST', 0, 0],
  92: ['TLOAD', 1, 1],
  93: ['TSTORE', 2, 0],
  94: ['MCOPY', 3, 0],
  95: ['PUSH0', 0, 1],
  ...numbered(0x60, 32, (n) => [`PUSH${n}`, 0, 1]),
  ...numbered(0x80, 16, (n) => [`DUP${n}`, n, n + 1]),
  ...numbered(0x90, 16, (n) => [`SWAP${n}`, n + 1, n + 1]),
  ...numbered(0xa0, 5, (n) => [`LOG${n - 1}`, n + 1, 0]),
  240: ['CREATE', 3, 1],
  241: ['CALL', 7, 1],
  242: ['CALLCODE', 7, 1],
  243: ['RETURN', 2, 0],
  244: ['DELEGATECALL', 6, 1],
  245: ['CREATE2', 4, 1],
  250: ['STATICCALL', 6, 1],
  253: ['REVERT', 2, 0],
  254: ['INVALID', 0, 0],
  255: ['SELFDESTRUCT', 1, 0],
}

const STACK_MAX = 1024

function numbered(from: number, count: number, row: (n: number) => Row): Record<number, Row> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [from + i, row(i + 1)]))
}

export function opcodeName(op: number): string {
  return ROWS[op]?.[0] ?? `opcode 0x${op.toString(16)} not defined`
}

/** null when the stack holds what the opcode needs and has room for what it leaves. */
export function stackFault(op: number, height: number): string | null {
  const [, takes, gives] = ROWS[op] ?? ['', 0, 0]
  if (height < takes) return `stack underflow (${height} <=> ${takes})`
  const roof = STACK_MAX + takes - gives
  return height > roof ? `stack limit reached ${height} (${roof})` : null
}

/** EthereumJS' word for an exceptional halt -> geth's. */
const ERRORS: Readonly<Record<string, string>> = {
  revert: 'execution reverted',
  'code store out of gas': 'contract creation code storage out of gas',
  'code size to deposit exceeds maximum code size': 'max code size exceeded',
  'static state change': 'write protection',
  'create collision': 'contract address collision',
  'insufficient balance': 'insufficient balance for transfer',
  'invalid bytecode deployed': 'invalid code: must not begin with 0xef',
  'initcode exceeds max initcode size': 'max initcode size exceeded',
  'value out of range': 'return data out of bounds',
  'stack overflow': 'stack limit reached 1024 (1023)',
}

export function gethError(error: string): string {
  // EthereumJS adds where the jump was.
  if (error.startsWith('invalid JUMP')) return 'invalid jump destination'
  return ERRORS[error] ?? error
}

/** Opcodes whose static-context check geth does while it prices them, which makes the error one of gas. */
const PRICED_PROTECTION: ReadonlySet<number> = new Set([0x55, 0xf1, 0xff])
const CALLS: ReadonlySet<number> = new Set([0xf1, 0xf2, 0xf4, 0xfa])
/** Taken before the rest of a call is priced (EIP-2929). */
export const CALL_CONSTANT_GAS = 100n

export function isCallOpcode(op: number): boolean {
  return CALLS.has(op)
}

/** Why an opcode failed; `gasLeft` before it. */
export function opcodeError(op: number, error: string, gasLeft: bigint): string {
  const message = gethError(error)
  if (message === 'write protection' && PRICED_PROTECTION.has(op)) return `out of gas: ${message}`
  if (message === 'out of gas' && CALLS.has(op) && gasLeft >= CALL_CONSTANT_GAS) {
    return 'out of gas: out of gas'
  }
  return message
}
