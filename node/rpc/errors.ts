/**
 * The one place where an error becomes a JSON-RPC error: code, message, data. Codes are those of
 * JSON-RPC 2.0, EIP-1474 and geth; messages of refused transactions begin with the phrase wallets
 * look for. A fault of ours says "internal error" and nothing more.
 */
import { toHex } from '../base/bytes.ts'
import { helpOf, NodeError } from '../base/errors.ts'
import { TxError, type TxErrorCode } from '../chain/errors.ts'
import { PoolError, type PoolErrorCode } from '../mempool/errors.ts'
import type { Json } from './method.ts'

export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The input is in order, the answer is no. */
  server: -32000,
  notFound: -32001,
  unavailable: -32002,
  timeout: -32002,
  responseTooLarge: -32003,
  limitExceeded: -32005,
  /** The call reverted; data is what it returned. */
  revert: 3,
  /** EIP-7966: sent, but in no block within the time. */
  syncTimeout: 4,
} as const

export class RpcError extends Error {
  readonly code: number
  readonly data: Json | undefined

  constructor(code: number, message: string, data?: Json) {
    super(message)
    this.name = 'RpcError'
    this.code = code
    this.data = data
  }
}

export function invalidParams(message: string): RpcError {
  return new RpcError(RPC.invalidParams, message)
}

export function notFound(message: string): RpcError {
  return new RpcError(RPC.notFound, message)
}

/** null: a fault of ours, to be logged. */
export function rpcErrorOf(error: unknown): RpcError | null {
  if (error instanceof RpcError) return error
  if (error instanceof TxError || error instanceof PoolError) return txErrorOf(error)
  if (!(error instanceof NodeError)) return null
  switch (error.severity) {
    case 'user': {
      const code = error.code.startsWith('unknown-') ? RPC.notFound : RPC.server
      return new RpcError(code, error.message, { ...plain(error.data), ...named(error.code) })
    }
    case 'retry':
      return new RpcError(RPC.unavailable, `try again: ${error.message}`, named(error.code))
    case 'reset':
    case 'fatal':
      return null
  }
}

/** The stable code, and where its page is. */
const named = (code: string): { code: string; help: string } => ({ code, help: helpOf(code) })

export function txErrorOf(refused: {
  code: TxErrorCode | PoolErrorCode
  message: string
}): RpcError {
  const { code, message } = refused
  return new RpcError(RPC.server, withPhrase(PHRASES[code], message), named(code))
}

/** What geth says for it; ethers and viem tell errors apart by these words. */
const PHRASES: Partial<Record<TxErrorCode | PoolErrorCode, string>> = {
  malformed: 'malformed transaction',
  'type-not-supported': 'transaction type not supported',
  'deposit-not-allowed': 'transaction type not supported',
  'wrong-chain-id': 'invalid chain id for signer',
  'bad-signature': 'invalid sender',
  'intrinsic-gas': 'intrinsic gas too low',
  'gas-limit-over-block': 'exceeds block gas limit',
  'fee-below-base-fee': 'max fee per gas less than block base fee',
  'tip-above-fee-cap': 'max priority fee per gas higher than max fee per gas',
  'initcode-size': 'max initcode size exceeded',
  'sender-not-eoa': 'sender not an eoa',
}

function withPhrase(phrase: string | undefined, message: string): string {
  return !phrase || message.startsWith(phrase) ? message : `${phrase}: ${message}`
}

function plain(data: Readonly<Record<string, unknown>>): Record<string, Json> {
  const out: Record<string, Json> = {}
  for (const [key, value] of Object.entries(data)) {
    if (value instanceof Uint8Array) out[key] = toHex(value)
    else if (typeof value === 'bigint') out[key] = value.toString()
    else if (typeof value === 'string' || typeof value === 'number') out[key] = value
    else if (typeof value === 'boolean' || value === null) out[key] = value
  }
  return out
}
