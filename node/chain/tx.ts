/**
 * Signed transactions (EIP-2718 types 0, 1, 2 and 4; blob transactions, 3, on plain Ethereum chains): decoding
 * with the sender, and the checks that decide whether one can be in a block. Decoding needs no state; `refusalOf` is given the sender's account,
 * prices and room. The mempool, the builder and the follower use the same two functions.
 */
import {
  Capability,
  createTxFromRLP,
  getCalldataFloorGas,
  type TypedTransaction,
} from '@ethereumjs/tx'
import { SECP256K1_ORDER_DIV_2 } from '@ethereumjs/util'
import { bigintToBytes, bytesEqual, type Hex, keccakHex } from '../base/bytes.ts'
import type { RecoverRequest } from '../base/crypto.ts'
import { messageOf } from '../base/errors.ts'
import { type AccountRecord, EMPTY_CODE_HASH } from './account.ts'
import { isDeposit } from './deposit.ts'
import { recoveryIdOf } from './ecrecover.ts'
import { TxError, type TxErrorCode, type TxRefusal } from './errors.ts'
import { fastLzSize } from './fastlz.ts'
import { decodeRlp, encodeRlp, integerOf, listOf, RlpError } from './rlp.ts'
import { type BlockRules, rollupRules } from './rules.ts'
import { addressOf, recoverAside, recoveredSoFar, recoverSender } from './sender.ts'
import { type PlainTx, readPlainTx } from './tx-plain.ts'

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
  /** FastLZ size of `raw`: what the L1 data fee depends on. */
  readonly fastLzBytes: number
  /** To an address, with neither access list nor authorizations (`tx-plain.ts`). */
  readonly isPlain: boolean
  /** As EthereumJS runs it, made when asked for; also carries access list, authorizations and signature. */
  readonly inner: TypedTransaction
}

/** What was decoded, by its bytes (which nobody changes): RPC, pool, builder, the run before sealing and the
 * store all ask for the same array. Nothing is kept longer than the bytes themselves. */
const decoded = new WeakMap<Uint8Array, { readonly tx: SignedTx; readonly rules: BlockRules }>()

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
  const known = decoded.get(raw)
  if (known?.rules === rules) return known.tx
  const plain = rules.hasPlainTx ? readPlainTx(raw, rules.chainId) : null
  const tx = (plain && withSender(plain, rules)) ?? decodeGeneral(rules, raw)
  decoded.set(raw, { tx, rules })
  return tx
}

/** Recovers the sender on another thread, so that decoding the same bytes is cheap. Calls end in the order they
 * were made. Never rejects: what is wrong with the transaction is for the decoder to say. */
export async function prepareTx(rules: BlockRules, raw: Uint8Array): Promise<void> {
  if (decoded.get(raw)?.rules === rules) return recoveredSoFar()
  const plain = rules.hasPlainTx ? readPlainTx(raw, rules.chainId) : null
  const parsed = plain ?? tryParse(raw, rules)
  if (parsed?.signature) await recoverAside(parsed.signature, parsed.hash)
}

/** @throws TxError */
export async function decodeTxUnderAside(rules: BlockRules, raw: Uint8Array): Promise<SignedTx> {
  await prepareTx(rules, raw)
  return decodeTxUnder(rules, raw)
}

/** null: nobody can have signed it. */
function withSender(plain: PlainTx, rules: BlockRules): SignedTx | null {
  const key = recoverSender(plain.signature, plain.hash)
  if (!key) return null
  let inner: TypedTransaction | undefined
  return {
    ...plain,
    sender: addressOf(key),
    isPlain: true,
    get inner() {
      inner ??= createInner(plain.raw, rules, key)
      return inner
    },
  }
}

function createInner(raw: Uint8Array, rules: BlockRules, key: Uint8Array): TypedTransaction {
  const inner = createTxFromRLP(raw, { common: rules.common })
  inner.cache.senderPubKey = key
  return inner
}

type Parsed = Pick<SignedTx, 'raw' | 'hash' | 'type' | 'data' | 'inner'> & {
  /** null: of a form only EthereumJS can judge. */
  readonly signature: RecoverRequest | null
}

function tryParse(raw: Uint8Array, rules: BlockRules): Parsed | null {
  try {
    return parse(raw, rules)
  } catch (error) {
    if (error instanceof TxError) return null
    throw error
  }
}

function parse(raw: Uint8Array, rules: BlockRules): Parsed {
  const type = typeOf(raw, rules)
  const data = checkEnvelope(raw, type, rules)
  const inner = attempt('malformed', () => createTxFromRLP(raw, { common: rules.common }))
  if (!inner.isSigned()) throw refuse('bad-signature', 'transaction is not signed')
  return { raw, hash: keccakHex(raw), type, data, inner, signature: signatureOf(inner) }
}

function signatureOf(inner: TypedTransaction): RecoverRequest | null {
  const { v, r, s } = inner
  if (v === undefined || r === undefined || s === undefined) return null
  // EIP-2; a thread would recover it.
  if (s > SECP256K1_ORDER_DIV_2) return null
  const isReplayProtected = inner.supports(Capability.EIP155ReplayProtection)
  const recoveryId = recoveryIdOf(v, isReplayProtected ? inner.common.chainId() : undefined)
  if (recoveryId === null) return null
  const hash = inner.getHashedMessageToSign()
  return { hash, r: bigintToBytes(r, 32), s: bigintToBytes(s, 32), recoveryId }
}

/** Every form there is, read by EthereumJS; what plain ones are compared with. @throws TxError */
export function decodeGeneral(rules: BlockRules, raw: Uint8Array): SignedTx {
  const { hash, type, data, inner, signature } = parse(raw, rules)
  const key = signature && recoverSender(signature, hash)
  if (key) inner.cache.senderPubKey = key
  const sender = attempt('bad-signature', () => inner.getSenderAddress().toString())
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
    fastLzBytes: fastLzSize(raw),
    isPlain: false,
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
  return decoded.get(raw)?.tx.hash ?? keccakHex(raw)
}
