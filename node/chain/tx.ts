/**
 * Signed transactions (EIP-2718 types 0, 1, 2 and 4; blob transactions, 3, on plain Ethereum chains): decoding
 * with the sender, and the checks that decide whether one can be in a block. Decoding needs no state; `refusalOf` is given the sender's account,
 * prices and room. The mempool, the builder and the follower use the same two functions.
 */
import { createTxFromRLP, getCalldataFloorGas, type TypedTransaction } from '@ethereumjs/tx'
import { bytesEqual, type Hex, keccakHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { type AccountRecord, EMPTY_CODE_HASH } from './account.ts'
import { isDeposit } from './deposit.ts'
import { TxError, type TxErrorCode, type TxRefusal } from './errors.ts'
import { decodeRlp, encodeRlp, integerOf, listOf, RlpError } from './rlp.ts'
import { type BlockRules, rollupRules } from './rules.ts'
import { recoverAside, recoverSender } from './sender.ts'

/** EIP-3860: twice the code limit. */
export const INITCODE_BYTES_MAX = 49_152
const NONCE_MAX = 2n ** 64n - 1n

export type SignedTx = {
  readonly raw: Uint8Array
  readonly hash: Hex
  readonly type: 0 | 1 | 2 | 3 | 4
  readonly sender: Hex
  readonly nonce: bigint
  readonly gasLimit: bigint
  readonly to: Hex | null
  readonly value: bigint
  readonly data: Uint8Array
  /** Types 0 and 1: both are the gas price. wei per gas. */
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  /** Least gas limit that is valid: intrinsic gas and the calldata floor (EIP-7623). */
  readonly gasFloor: bigint
  /** Blob transactions only: blob gas, and the most it may cost, wei per blob gas. */
  readonly blobGas?: { readonly used: bigint; readonly maxFee: bigint }
  /** As EthereumJS runs it; also carries access list, authorizations and signature. */
  readonly inner: TypedTransaction
}

/** A rollup's. @throws TxError with a message for the sender. */
export function decodeTx(raw: Uint8Array, chainId: number): SignedTx {
  return decodeTxUnder(rollupRules(chainId), raw)
}

/** The same, with the sender recovered on another thread. @throws TxError */
export function decodeTxAside(raw: Uint8Array, chainId: number): Promise<SignedTx> {
  return decodeTxUnderAside(rollupRules(chainId), raw)
}

/** Under the rules of the block it stands in or wants to be in. @throws TxError */
export function decodeTxUnder(rules: BlockRules, raw: Uint8Array): SignedTx {
  return withSender(parse(raw, rules))
}

/** @throws TxError */
export async function decodeTxUnderAside(rules: BlockRules, raw: Uint8Array): Promise<SignedTx> {
  const parsed = parse(raw, rules)
  await recoverAside(parsed.inner, parsed.hash)
  return withSender(parsed)
}

type Parsed = Pick<SignedTx, 'raw' | 'hash' | 'type' | 'data' | 'inner'>

function parse(raw: Uint8Array, rules: BlockRules): Parsed {
  const type = typeOf(raw, rules)
  const data = checkEnvelope(raw, type, rules)
  const inner = attempt('malformed', () => createTxFromRLP(raw, { common: rules.common }))
  if (!inner.isSigned()) throw refuse('bad-signature', 'transaction is not signed')
  return { raw, hash: keccakHex(raw), type, data, inner }
}

function withSender({ raw, hash, type, data, inner }: Parsed): SignedTx {
  const sender = attempt('bad-signature', () => recoverSender(inner, hash))
  const isDynamic = 'maxFeePerGas' in inner
  const intrinsic = inner.getIntrinsicGas()
  const floor = getCalldataFloorGas(inner)
  return {
    raw,
    hash,
    type,
    sender,
    nonce: inner.nonce,
    gasLimit: inner.gasLimit,
    to: inner.to ? inner.to.toString() : null,
    value: inner.value,
    data,
    maxFeePerGas: isDynamic ? inner.maxFeePerGas : inner.gasPrice,
    maxPriorityFeePerGas: isDynamic ? inner.maxPriorityFeePerGas : inner.gasPrice,
    gasFloor: intrinsic > floor ? intrinsic : floor,
    ...('maxFeePerBlobGas' in inner
      ? { blobGas: { used: blobGasOf(inner), maxFee: inner.maxFeePerBlobGas } }
      : {}),
    inner,
  }
}

function blobGasOf(inner: Extract<TypedTransaction, { maxFeePerBlobGas: bigint }>): bigint {
  return inner.common.param('blobGasPerBlob') * BigInt(inner.numBlobs())
}

/** What the sender's account must hold: gas and blob gas at their caps, value and the L1 data fee. wei. */
export function maxCostOf(tx: SignedTx, l1Fee: bigint): bigint {
  const blobs = tx.blobGas ? tx.blobGas.used * tx.blobGas.maxFee : 0n
  return tx.gasLimit * tx.maxFeePerGas + tx.value + blobs + l1Fee
}

/** wei per gas actually paid; the tip is the part above the base fee. */
export function effectiveGasPrice(tx: SignedTx, baseFee: bigint): bigint {
  const capped = baseFee + tx.maxPriorityFeePerGas
  return capped < tx.maxFeePerGas ? capped : tx.maxFeePerGas
}

export type TxContext = {
  /** null: no such account yet. */
  readonly account: AccountRecord | null
  /** The sender's code; only looked at when the account has some. */
  readonly code: () => Uint8Array
  readonly baseFee: bigint
  /** Gas left in the block. */
  readonly gasLeft: bigint
  readonly l1Fee: bigint
  /** wei per blob gas, and what is left of it in the block; where there are blob transactions. */
  readonly blobs?: { readonly price: bigint; readonly gasLeft: bigint }
}

/** null when the transaction can run now. */
export function refusalOf(tx: SignedTx, context: TxContext): TxRefusal | null {
  const nonce = context.account?.nonce ?? 0n
  const balance = context.account?.balance ?? 0n
  const { gasLeft, baseFee, l1Fee } = context
  if (tx.nonce < nonce) {
    return refusal('nonce-too-low', `nonce too low: ${tx.nonce}, the account's next is ${nonce}`, {
      have: tx.nonce,
      next: nonce,
    })
  }
  if (tx.nonce > nonce) {
    return refusal(
      'nonce-too-high',
      `nonce too high: ${tx.nonce}, the account's next is ${nonce}`,
      {
        have: tx.nonce,
        next: nonce,
      },
    )
  }
  if (nonce >= NONCE_MAX) return refusal('nonce-max', 'the account has used its last nonce')
  if (context.account && !bytesEqual(context.account.codeHash, EMPTY_CODE_HASH)) {
    if (!isDelegation(context.code())) {
      return refusal('sender-not-eoa', `sender ${tx.sender} is a contract (EIP-3607)`)
    }
  }
  if (tx.gasLimit < tx.gasFloor) {
    return refusal('intrinsic-gas', `gas limit ${tx.gasLimit} is below the least, ${tx.gasFloor}`, {
      have: tx.gasLimit,
      need: tx.gasFloor,
    })
  }
  if (tx.gasLimit > gasLeft) {
    const message = `gas limit ${tx.gasLimit} is above the ${gasLeft} left in the block`
    return refusal('gas-limit-over-block', message, { have: tx.gasLimit, left: gasLeft })
  }
  if (tx.maxFeePerGas < baseFee) {
    const message = `fee cap ${tx.maxFeePerGas} wei per gas is below the base fee ${baseFee}`
    return refusal('fee-below-base-fee', message, { have: tx.maxFeePerGas, baseFee })
  }
  if (tx.maxPriorityFeePerGas > tx.maxFeePerGas) {
    const message = `tip ${tx.maxPriorityFeePerGas} is above the fee cap ${tx.maxFeePerGas}`
    return refusal('tip-above-fee-cap', message)
  }
  const blobs = blobRefusal(tx, context)
  if (blobs) return blobs
  const want = maxCostOf(tx, l1Fee)
  if (balance < want) {
    const message = `insufficient funds: have ${balance} wei, want ${want} wei (of it ${l1Fee} wei for L1 data)`
    return refusal('insufficient-funds', message, { have: balance, want, l1Fee })
  }
  return null
}

function blobRefusal({ blobGas }: SignedTx, { blobs }: TxContext): TxRefusal | null {
  if (!blobGas || !blobs) return null
  if (blobGas.used > blobs.gasLeft) {
    const message = `blob gas ${blobGas.used} is above the ${blobs.gasLeft} left in the block`
    return refusal('blob-gas-over-block', message, { have: blobGas.used, left: blobs.gasLeft })
  }
  if (blobGas.maxFee < blobs.price) {
    const message = `fee cap ${blobGas.maxFee} wei per blob gas is below the blob base fee ${blobs.price}`
    return refusal('blob-fee-below-base-fee', message, {
      have: blobGas.maxFee,
      baseFee: blobs.price,
    })
  }
  return null
}

/** EIP-7702: `ef0100 || address`. */
export function isDelegation(code: Uint8Array): boolean {
  return code.length === 23 && code[0] === 0xef && code[1] === 1 && code[2] === 0
}

function typeOf(raw: Uint8Array, { txTypes }: BlockRules): SignedTx['type'] {
  const first = raw[0]
  if (first === undefined) throw refuse('malformed', 'transaction is empty')
  const type = first >= 0xc0 ? 0 : first
  if (isType(type) && txTypes.has(type) && (type !== 0 || first !== 0)) return type
  if (first === 3) {
    throw refuse('type-not-supported', 'blob transactions (type 3) are not accepted on L2')
  }
  if (isDeposit(raw)) {
    throw refuse('deposit-not-allowed', 'deposits (type 0x7e) come from L1, not from senders')
  }
  const known = [...txTypes].join(', ').replace(/, (\d)$/, ' or $1')
  throw refuse('type-not-supported', `transaction type ${first} is not known: use ${known}`)
}

function isType(type: number): type is SignedTx['type'] {
  return type <= 4
}

/** Place of (to, data) in the field list of each type. */
const FIELDS = { 0: [3, 5, 9], 1: [4, 6, 11], 2: [5, 7, 12], 3: [5, 7, 14], 4: [5, 7, 13] } as const

/** Shape, one encoding only, chain id, initcode size. Returns the call data. */
function checkEnvelope(
  raw: Uint8Array,
  type: SignedTx['type'],
  { chainId, common }: BlockRules,
): Uint8Array {
  const [toAt, dataAt, count] = FIELDS[type]
  const body = type === 0 ? raw : raw.subarray(1)
  const fields = attempt('malformed', () => listOf(decodeRlp(body), 'transaction', count))
  if (!bytesEqual(encodeRlp(fields), body)) throw refuse('malformed', 'RLP is not canonical')
  const claimed = attempt('malformed', () => chainIdOf(fields, type))
  if (claimed !== null && claimed !== BigInt(chainId)) {
    const message = `wrong chain id: the transaction is for ${claimed}, this chain is ${chainId}`
    throw refuse('wrong-chain-id', message, { have: claimed, want: chainId })
  }
  const [to, data] = [fields[toAt], fields[dataAt]]
  if (!(data instanceof Uint8Array) || !(to instanceof Uint8Array)) {
    throw refuse('malformed', 'to and data must be byte strings')
  }
  if (to.length !== 0 && to.length !== 20) {
    throw refuse('malformed', `to has ${to.length} bytes, not 20`)
  }
  const isLimited = common.isActivatedEIP(3860)
  if (isLimited && to.length === 0 && data.length > INITCODE_BYTES_MAX) {
    const message = `initcode has ${data.length} bytes, at most ${INITCODE_BYTES_MAX}`
    throw refuse('initcode-size', message, { have: data.length, max: INITCODE_BYTES_MAX })
  }
  return data
}

/** null: a legacy transaction without replay protection, valid on every chain. */
function chainIdOf(fields: ReturnType<typeof listOf>, type: SignedTx['type']): bigint | null {
  if (type !== 0) return integerOf(fields[0], 'chain id', 32)
  const v = integerOf(fields[6], 'v', 32)
  if (v === 27n || v === 28n) return null
  if (v < 35n) throw new RlpError(`v is ${v}`)
  return (v - 35n) / 2n
}

function attempt<T>(code: TxErrorCode, run: () => T): T {
  try {
    return run()
  } catch (error) {
    // EthereumJS appends its own context in parentheses; the first part is the reason.
    throw refuse(code, messageOf(error).replace(/ \((tx type|vm hf).*$/s, ''))
  }
}

function refuse(code: TxErrorCode, message: string, data?: TxRefusal['data']): TxError {
  return new TxError(refusal(code, message, data))
}

function refusal(code: TxErrorCode, message: string, data?: TxRefusal['data']): TxRefusal {
  return { code, message, ...(data ? { data } : {}) }
}

export function txHash(raw: Uint8Array): Hex {
  return keccakHex(raw)
}
