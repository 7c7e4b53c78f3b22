/**
 * The messages of x402 v2 (specs/x402-specification-v2.md) as they come over the wire, read strictly: what a payment
 * must be, and what the payer signed. Amounts are decimal strings of atomic units (wei of OPEN), times Unix seconds.
 */
import { z } from 'zod'
import type { Hex } from '../../genesis/addresses.ts'

export const X402_VERSION = 2

export type Requirements = {
  readonly scheme: string
  /** CAIP-2, such as `eip155:1612`. */
  readonly network: string
  readonly amount: bigint
  readonly asset: Hex
  readonly payTo: Hex
  readonly maxTimeoutSeconds: number
  readonly extra: Readonly<Record<string, unknown>>
}

/** As it goes over the wire: amounts as text. */
export type WireRequirements = Omit<Requirements, 'amount'> & { readonly amount: string }

export type Payload = {
  readonly x402Version: number
  readonly accepted: Requirements
  /** By scheme. */
  readonly payload: Readonly<Record<string, unknown>>
}

/** Scheme `exact` by EIP-3009. */
export type ExactPayload = {
  readonly signature: Hex
  readonly authorization: {
    readonly from: Hex
    readonly to: Hex
    readonly value: bigint
    readonly validAfter: bigint
    readonly validBefore: bigint
    readonly nonce: Hex
  }
}

/** Scheme `upto` by Permit2. */
export type UptoPayload = {
  readonly signature: Hex
  readonly permit2Authorization: {
    readonly permitted: { readonly token: Hex; readonly amount: bigint }
    readonly from: Hex
    readonly spender: Hex
    readonly nonce: bigint
    readonly deadline: bigint
    readonly witness: { readonly to: Hex; readonly facilitator: Hex; readonly validAfter: bigint }
  }
}

export type FacilitatorRequest = {
  readonly x402Version?: number | undefined
  readonly paymentPayload: Payload
  readonly paymentRequirements: Requirements
}

const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'an address is 20 bytes of 0x hex')
  .transform((text) => text.toLowerCase() as Hex)
const uint = z
  .string()
  .regex(/^(\d{1,78}|0x[0-9a-fA-F]{1,64})$/, 'an amount is a decimal string')
  .transform(BigInt)
  .refine((value) => value < 1n << 256n, 'above 2^256 - 1')
const word = z
  .string()
  .regex(/^0x[0-9a-fA-F]{64}$/, 'a nonce is 32 bytes of 0x hex')
  .transform((text) => text.toLowerCase() as Hex)
/** 65 bytes of an EOA, or more of a contract (ERC-1271). */
const signature = z
  .string()
  .regex(/^0x([0-9a-fA-F]{2}){1,2048}$/, 'a signature is 0x hex')
  .transform((text) => text as Hex)

export const requirementsSchema: z.ZodType<Requirements> = z.object({
  scheme: z.string(),
  network: z.string(),
  amount: uint,
  asset: address,
  payTo: address,
  maxTimeoutSeconds: z.number().int().min(0).default(60),
  extra: z.record(z.string(), z.unknown()).default({}),
})

export const payloadSchema: z.ZodType<Payload> = z.object({
  x402Version: z.number(),
  accepted: requirementsSchema,
  payload: z.record(z.string(), z.unknown()),
})

export const exactSchema: z.ZodType<ExactPayload> = z.object({
  signature,
  authorization: z.object({
    from: address,
    to: address,
    value: uint,
    validAfter: uint,
    validBefore: uint,
    nonce: word,
  }),
})

export const uptoSchema: z.ZodType<UptoPayload> = z.object({
  signature,
  permit2Authorization: z.object({
    permitted: z.object({ token: address, amount: uint }),
    from: address,
    spender: address,
    nonce: uint,
    deadline: uint,
    witness: z.object({ to: address, facilitator: address, validAfter: uint }),
  }),
})

export const facilitatorRequestSchema: z.ZodType<FacilitatorRequest> = z.object({
  x402Version: z.number().optional(),
  paymentPayload: payloadSchema,
  paymentRequirements: requirementsSchema,
})

export type VerifyResponse = {
  readonly isValid: boolean
  readonly invalidReason?: string
  readonly invalidMessage?: string
  readonly payer?: Hex
}

export type SettleResponse = {
  readonly success: boolean
  readonly errorReason?: string
  readonly errorMessage?: string
  readonly payer?: Hex
  /** Empty when there is none. */
  readonly transaction: Hex | ''
  readonly network: string
  /** Atomic units that moved. */
  readonly amount?: string
}

/** What was wrong with a message, in one line. */
export function faultOf(error: z.ZodError): string {
  const [first] = error.issues
  return first ? `${first.path.join('.') || 'the message'}: ${first.message}` : 'malformed'
}
