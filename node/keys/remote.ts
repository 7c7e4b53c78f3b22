/**
 * A key behind a remote signer, spoken to in one of two dialects:
 *
 *   web3signer  POST /api/v1/eth1/sign/{public key} {"data"}        signs keccak256(data), so it serves
 *               GET  /api/v1/eth1/publicKeys                        whatever a role signs
 *               https://docs.web3signer.consensys.io
 *   op-signer   JSON-RPC eth_signTransaction(TransactionArgs) -> raw signed transaction
 *               JSON-RPC opsigner_signBlockPayload({domain, chainId, payloadHash, senderAddress})
 *               no EIP-712 data: it serves the roles that sign transactions and blocks
 *               https://github.com/ethereum-optimism/infra/tree/main/op-signer
 *
 * Nothing it answers is trusted: each signature is recovered and must be of the address we expect.
 */
import { RLP } from '@ethereumjs/rlp'
import { bytesToBigint, fromHex, type Hex, toHex } from '../base/bytes.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { addressOfPublicKey } from '../base/keys.ts'
import { recoverAddress, type SignedKind, type Signer } from './signer.ts'

export type SignerProtocol = 'web3signer' | 'op-signer'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 1024 * 1024
/** Keys a web3signer may hold; looking for ours among more is somebody's mistake. */
const PUBLIC_KEYS_MAX = 10_000

export function remoteSigner(options: {
  readonly url: string
  readonly address: Hex
  readonly protocol: SignerProtocol
}): Signer {
  const { url, address, protocol } = options
  const dialect = protocol === 'web3signer' ? web3signer(url, address) : opSigner(url, address)
  return {
    address,
    sign: async (kind, preimage) => {
      const signature = await dialect.sign(kind, preimage)
      const found = recoverAddress(preimage, signature)
      if (found === address) return signature
      throw new NodeError(
        'signer-wrong-key',
        'fatal',
        `the remote signer ${shown(url)} signed with ${found ?? 'no valid signature'}, want ${address}: give it the right key`,
      )
    },
    check: dialect.check,
  }
}

type Dialect = {
  sign(kind: SignedKind, preimage: Uint8Array): Promise<Uint8Array>
  check(): Promise<void>
}

function web3signer(url: string, address: Hex): Dialect {
  let identifier: Promise<Hex> | null = null
  const find = (): Promise<Hex> => {
    identifier ??= publicKeyOf(url, address).catch((error) => {
      identifier = null
      throw error
    })
    return identifier
  }
  return {
    check: async () => {
      await find()
    },
    sign: async (_kind, preimage) => {
      const path = `/api/v1/eth1/sign/${await find()}`
      const text = await request(url, path, { data: toHex(preimage) })
      return signatureOf(url, text.trim().replace(/^"|"$/g, ''))
    },
  }
}

/** The uncompressed public key, 64 bytes, whose address is ours. */
async function publicKeyOf(url: string, address: Hex): Promise<Hex> {
  const keys: unknown = parse(url, await request(url, '/api/v1/eth1/publicKeys'))
  if (!Array.isArray(keys) || keys.length > PUBLIC_KEYS_MAX)
    throw refused(url, 'its list of public keys is none')
  for (const key of keys) {
    const hex = String(key).replace(/^(0x)?(04(?=[0-9a-fA-F]{128}$))?/, '')
    if (!/^[0-9a-fA-F]{128}$/.test(hex)) continue
    if (addressOfPublicKey(fromHex(`0x04${hex}`)) === address) return `0x${hex}`
  }
  throw refused(url, `it holds no key of ${address} (it has ${keys.length} others)`)
}

function opSigner(url: string, address: Hex): Dialect {
  const call = async (method: string, params: unknown): Promise<unknown> => {
    const text = await request(url, '', { jsonrpc: '2.0', id: 1, method, params: [params] })
    const { result, error } = parse(url, text) as { result?: unknown; error?: { message?: string } }
    if (error) throw refused(url, error.message ?? JSON.stringify(error))
    return result
  }
  return {
    check: async () => {
      await request(url, '', { jsonrpc: '2.0', id: 1, method: 'health_status', params: [] })
    },
    sign: async (kind, preimage) => {
      if (kind === 'typed-data') throw refused(url, 'op-signer signs no EIP-712 data')
      if (kind === 'block' || kind === 'envelope') {
        const args = {
          domain: toHex(preimage.subarray(0, 32)),
          chainId: Number(bytesToBigint(preimage.subarray(32, 64))),
          // A Go []byte: base64 in JSON.
          payloadHash: Buffer.from(preimage.subarray(64)).toString('base64'),
          senderAddress: address,
        }
        return signatureOf(url, await call('opsigner_signBlockPayload', args))
      }
      const raw = await call('eth_signTransaction', transactionArgs(preimage, address))
      return signatureIn(url, raw)
    },
  }
}

/** The fields of an unsigned transaction of type 2 or 3, as geth's `TransactionArgs`. */
function transactionArgs(unsigned: Uint8Array, from: Hex): Record<string, unknown> {
  const fields = RLP.decode(unsigned.subarray(1)) as Uint8Array[]
  const quantity = (i: number): string => `0x${bytesToBigint(fields[i] as Uint8Array).toString(16)}`
  const isBlob = unsigned[0] === 3
  return {
    from,
    chainId: quantity(0),
    nonce: quantity(1),
    maxPriorityFeePerGas: quantity(2),
    maxFeePerGas: quantity(3),
    gas: quantity(4),
    to: toHex(fields[5] as Uint8Array),
    value: quantity(6),
    input: toHex(fields[7] as Uint8Array),
    accessList: [],
    ...(isBlob && {
      maxFeePerBlobGas: quantity(9),
      blobVersionedHashes: (fields[10] as unknown as Uint8Array[]).map(toHex),
    }),
  }
}

/** Yellow parity, r and s are the last three fields of a signed typed transaction. */
function signatureIn(url: string, raw: unknown): Uint8Array {
  try {
    const [v, r, s] = (RLP.decode(fromHex(String(raw)).subarray(1)) as Uint8Array[]).slice(-3)
    const out = new Uint8Array(65)
    out.set(r as Uint8Array, 32 - (r as Uint8Array).length)
    out.set(s as Uint8Array, 64 - (s as Uint8Array).length)
    out[64] = v?.[0] ?? 0
    return out
  } catch (error) {
    throw refused(url, `it answered no signed transaction: ${messageOf(error)}`)
  }
}

/** v as 0, 1, 27 or 28. */
function signatureOf(url: string, text: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^0x[0-9a-fA-F]{130}$/.test(text)) {
    throw refused(url, `it answered no signature: ${String(text).slice(0, 80)}`)
  }
  const signature = fromHex(text)
  const v = signature[64] as number
  signature[64] = v >= 27 ? v - 27 : v
  return signature
}

async function request(url: string, path: string, body?: unknown): Promise<string> {
  let response: Response
  let text: string
  try {
    const { base, headers } = withCredentials(url)
    response = await fetch(`${base}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text()
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error
    throw new NodeError(
      'signer-unreachable',
      'retry',
      `the remote signer ${shown(url)} does not answer: ${messageOf(cause)}`,
    )
  }
  if (response.ok && text.length <= ANSWER_BYTES_MAX) return text
  if (response.status >= 500) {
    throw new NodeError(
      'signer-unreachable',
      'retry',
      `the remote signer ${shown(url)} fails: HTTP ${response.status}`,
    )
  }
  throw refused(url, `HTTP ${response.status} ${text.slice(0, 200)}`)
}

/** `http://user:password@host`: fetch wants the credentials as a header. */
function withCredentials(url: string): { base: string; headers: Record<string, string> } {
  const parsed = new URL(url)
  const { username, password } = parsed
  parsed.username = ''
  parsed.password = ''
  const base = parsed.href.replace(/\/$/, '')
  if (!username) return { base, headers: {} }
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
  return { base, headers: { authorization: `Basic ${pair.toString('base64')}` } }
}

/** The URL without credentials, for messages. */
function shown(url: string): string {
  return withCredentials(url).base
}

function parse(url: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refused(url, 'its answer is not JSON')
  }
}

function refused(url: string, what: string): NodeError {
  return new NodeError('signer-refused', 'user', `the remote signer ${shown(url)} refuses: ${what}`)
}
