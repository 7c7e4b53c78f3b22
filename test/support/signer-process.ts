/**
 * A remote signer in a process of its own, for tests: web3signer's REST interface and op-signer's
 * JSON-RPC on one port, made with ethers so that nothing of ours signs.
 *
 *   node signer-process.ts <private key> [web3signer key to list instead]
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { concat, keccak256, SigningKey, Transaction, toBeHex, Wallet } from 'ethers'

const key = process.argv[2] as string
const wallet = new Wallet(key)
const signing = new SigningKey(key)

function rpc(method: string, [args]: [Record<string, string & string[]>]): unknown {
  if (method === 'health_status') return 'ok'
  if (method === 'opsigner_signBlockPayload') {
    if (args.senderAddress?.toLowerCase() !== wallet.address.toLowerCase()) {
      throw new Error('unexpected from address')
    }
    const hash = `0x${Buffer.from(args.payloadHash as string, 'base64').toString('hex')}`
    const bytes = concat([args.domain as string, toBeHex(BigInt(args.chainId as string), 32), hash])
    const { r, s, yParity } = signing.sign(keccak256(bytes))
    return concat([r, s, toBeHex(yParity)])
  }
  if (method === 'eth_signTransaction') {
    const tx = new Transaction()
    tx.type = args.blobVersionedHashes ? 3 : 2
    tx.chainId = BigInt(args.chainId as string)
    tx.nonce = Number(args.nonce)
    tx.maxFeePerGas = BigInt(args.maxFeePerGas as string)
    tx.maxPriorityFeePerGas = BigInt(args.maxPriorityFeePerGas as string)
    tx.gasLimit = BigInt(args.gas as string)
    tx.to = args.to as string
    tx.value = BigInt(args.value as string)
    tx.data = args.input as string
    if (args.blobVersionedHashes) {
      tx.maxFeePerBlobGas = BigInt(args.maxFeePerBlobGas as string)
      tx.blobVersionedHashes = args.blobVersionedHashes
    }
    tx.signature = signing.sign(tx.unsignedHash)
    return tx.serialized
  }
  throw new Error(`no method ${method}`)
}

const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const path = request.url ?? '/'
  if (path === '/api/v1/eth1/publicKeys') {
    response.end(JSON.stringify([`0x${signing.publicKey.slice(4)}`]))
  } else if (path === `/api/v1/eth1/sign/0x${signing.publicKey.slice(4)}`) {
    response.end(signing.sign(keccak256(JSON.parse(body).data)).serialized)
  } else if (path === '/' && request.method === 'POST') {
    const { id, method, params } = JSON.parse(body)
    try {
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: rpc(method, params) }))
    } catch (error) {
      const { message } = error as Error
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32010, message } }))
    }
  } else {
    response.statusCode = 404
    response.end('no such key')
  }
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
