/** net_, web3_ and rpc_ methods: what tools ask before anything else. */
import { keccakHex } from '../../base/bytes.ts'
import { quantity } from '../format.ts'
import { method, type RpcMethods } from '../method.ts'
import { bytes, required, schemas } from '../params.ts'
import { decimal, text } from '../results/shape.ts'

export const netMethods: RpcMethods = {
  net_version: method({
    summary: 'The network id, a decimal string: the chain id',
    params: [],
    result: decimal,
    handler: ({ chain }) => String(chain.rules.chainId),
  }),
  net_listening: method({
    summary: 'Whether the node takes connections',
    params: [],
    result: schemas.boolean,
    handler: () => true,
  }),
  net_peerCount: method({
    summary: 'How many peers are connected',
    params: [],
    result: schemas.quantity,
    handler: ({ peerCount }) => quantity(peerCount()),
  }),
  web3_clientVersion: method({
    summary: 'Name and version of the node',
    params: [],
    result: text,
    handler: ({ clientVersion }) => clientVersion,
  }),
  web3_sha3: method({
    summary: 'keccak256 of some bytes',
    params: [required('data', bytes)],
    result: schemas.hash,
    handler: (_context, [data]) => keccakHex(data),
  }),
}
