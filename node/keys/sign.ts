/**
 * What a role signs that Ethereum has a form for, made of the bytes that its signer is shown: EIP-712 data and
 * dynamic-fee transactions (EIP-1559).
 */
import type { TransactionSerializableEIP1559, TypedDataDomain } from 'viem'
import { hashStruct, serializeTransaction } from 'viem/utils'
import { concatBytes, fromHex, type Hex, toHex } from '../base/bytes.ts'
import type { Signer } from './signer.ts'

/** As `signTypedData` of any wallet takes it. */
export type TypedData = {
  readonly domain: TypedDataDomain
  readonly types: Readonly<
    Record<string, readonly { readonly name: string; readonly type: string }[]>
  >
  readonly primaryType: string
  readonly message: Readonly<Record<string, unknown>>
}

const PREFIX = Uint8Array.of(0x19, 0x01)

/** Those that a domain has, in this order (EIP-712, `eip712Domain`). */
const DOMAIN_FIELDS = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
  { name: 'salt', type: 'bytes32' },
] as const

/** 66 bytes whose keccak256 is `hashTypedData`. */
export function typedDataPreimage({ domain, types, primaryType, message }: TypedData): Uint8Array {
  const struct = hashStruct({ data: message, primaryType, types })
  const EIP712Domain = DOMAIN_FIELDS.filter(({ name }) => domain[name] !== undefined)
  const forDomain: TypedData['types'] = { EIP712Domain }
  const separator = hashStruct({
    data: { ...domain },
    primaryType: 'EIP712Domain',
    types: forDomain,
  })
  return concatBytes(PREFIX, fromHex(separator), fromHex(struct))
}

/** r || s || v, v = 27 or 28, as contracts expect. @throws NodeError as `Signer.sign` */
export async function signTypedData(signer: Signer, data: TypedData): Promise<Hex> {
  const signature = (await signer.sign('typed-data', typedDataPreimage(data))).slice()
  signature[64] = 27 + (signature[64] as number)
  return toHex(signature)
}

/** The signed transaction, as `eth_sendRawTransaction` takes it. @throws NodeError as `Signer.sign` */
export async function signTransaction(
  signer: Signer,
  transaction: Omit<TransactionSerializableEIP1559, 'type'>,
): Promise<Hex> {
  const unsigned = { ...transaction, type: 'eip1559' } as const
  const signature = await signer.sign('transaction', fromHex(serializeTransaction(unsigned)))
  return serializeTransaction(unsigned, {
    r: toHex(signature.subarray(0, 32)),
    s: toHex(signature.subarray(32, 64)),
    yParity: signature[64] as number,
  })
}
