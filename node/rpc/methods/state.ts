/** Accounts, storage, code and their proofs, at any block: the store is an archive. */
import { type Hex, toHex } from '../../base/bytes.ts'
import type { StateView } from '../../chain/state-view.ts'
import { mustFindBlock } from '../blocks.ts'
import type { RpcChain, RpcContext } from '../context.ts'
import { invalidParams, RPC, RpcError } from '../errors.ts'
import { quantity } from '../format.ts'
import { method, type RpcMethods, type ValueType } from '../method.ts'
import {
  address,
  type BlockId,
  block,
  inside,
  LATEST,
  list,
  object,
  optional,
  required,
  schemas,
  slot,
} from '../params.ts'
import { accountProof, storageValues } from '../results/ethereum.ts'

/** `code` of the error when there is no such block. */
export function viewAt(chain: RpcChain, id: BlockId, code: number = RPC.notFound): StateView {
  return chain.stateAt(mustFindBlock(chain, id, code).header)
}

/** As given: a full word stays a word in the answer, anything shorter becomes a quantity. */
type ProofKey = { readonly slot: Hex; readonly shown: Hex }

const proofKey: ValueType<ProofKey> = {
  schema: slot.schema,
  parse: (value) => {
    const key = slot.parse(value)
    return { slot: key, shown: String(value).length === 66 ? key : quantity(BigInt(key)) }
  },
}

/** Far above `proofSlotsMax`: the handler's message names the limit in force. */
const PROOF_KEYS_READ_MAX = 100_000

/** `{ address: [slot, ...] }` */
const slotsOf: ValueType<readonly (readonly [Hex, readonly Hex[]])[]> = {
  schema: { type: 'object', additionalProperties: { type: 'array', items: slot.schema } },
  parse: (value) =>
    Object.entries(object.parse(value)).map(([account, keys]) => [
      inside(' key', () => address.parse(account)),
      inside(`.${account}`, () => list(slot, PROOF_KEYS_READ_MAX).parse(keys)),
    ]),
}

export const stateMethods: RpcMethods = {
  eth_getBalance: method({
    summary: 'Balance in wei of OPEN',
    params: [required('address', address), optional('block', block, LATEST)],
    result: schemas.quantity,
    handler: ({ chain }, [account, id]) =>
      quantity(viewAt(chain, id).account(account)?.balance ?? 0n),
  }),
  eth_getCode: method({
    summary: 'Code of an account',
    params: [required('address', address), optional('block', block, LATEST)],
    result: schemas.data,
    handler: ({ chain }, [account, id]) => toHex(viewAt(chain, id).code(account)),
  }),
  eth_getStorageAt: method({
    summary: 'One storage slot, 32 bytes',
    params: [
      required('address', address),
      required('slot', slot),
      optional('block', block, LATEST),
    ],
    result: schemas.hash,
    handler: ({ chain }, [account, key, id]) => viewAt(chain, id).storage(account, key),
  }),
  eth_getStorageValues: method({
    summary: 'Storage slots of several accounts at one block, 32 bytes each',
    params: [required('slots', slotsOf), optional('block', block, LATEST)],
    result: storageValues,
    handler: ({ chain, options }, [accounts, id]) => {
      const count = accounts.reduce((sum, [, keys]) => sum + keys.length, 0)
      if (count === 0) throw invalidParams('no slot is asked for')
      if (count > options.storageSlotsMax) {
        throw invalidParams(`${count} slots, at most ${options.storageSlotsMax}`)
      }
      const view = viewAt(chain, id)
      return Object.fromEntries(
        accounts.map(([account, keys]) => [account, keys.map((key) => view.storage(account, key))]),
      )
    },
  }),
  eth_getTransactionCount: method({
    summary: 'Nonce of an account; with `pending` the transactions waiting in the pool count',
    params: [required('address', address), optional('block', block, LATEST)],
    result: schemas.quantity,
    handler: (context, [account, id]) => quantity(nonceAt(context, account, id)),
  }),
  eth_getProof: method({
    summary: 'An account with Merkle proofs of it and of storage slots (EIP-1186)',
    params: [
      required('address', address),
      required('slots', list(proofKey, PROOF_KEYS_READ_MAX)),
      optional('block', block, LATEST),
    ],
    result: accountProof,
    handler: ({ chain, options }, [account, keys, id]) => {
      if (keys.length > options.proofSlotsMax) {
        throw invalidParams(`${keys.length} slots to prove, at most ${options.proofSlotsMax}`)
      }
      const view = viewAt(chain, id)
      checkWindow(chain, view.header, options.proofWindowSeconds)
      const proof = view.proof(
        account,
        keys.map((key) => key.slot),
      )
      return {
        address: account,
        accountProof: proof.accountProof,
        balance: quantity(proof.account.balance),
        codeHash: toHex(proof.account.codeHash),
        nonce: quantity(proof.account.nonce),
        storageHash: toHex(proof.account.storageRoot),
        storageProof: proof.storageProof.map(({ value, proof: nodes }, i) => ({
          key: keys[i]?.shown ?? '0x0',
          value: quantity(value),
          proof: nodes,
        })),
      }
    },
  }),
}

/** EIP-4444's code for what is no longer served. */
const PRUNED = 4444

function checkWindow(
  chain: RpcChain,
  { number, timestamp }: { readonly number: bigint; readonly timestamp: bigint },
  seconds: number,
): void {
  const age = chain.head('unsafe').timestamp - timestamp
  if (age <= BigInt(seconds)) return
  throw new RpcError(
    PRUNED,
    `no proof of block ${number}: it is ${age} s older than the head, proofs are given for ${seconds} s (proofWindowSeconds): ask a node with a longer window`,
    { limit: 'proofWindowSeconds', seconds },
  )
}

function nonceAt({ chain, pool }: RpcContext, account: Hex, id: BlockId): bigint {
  if (pool && id.kind === 'tag' && id.tag === 'pending') return pool.pendingNonce(account)
  return viewAt(chain, id).account(account)?.nonce ?? 0n
}
