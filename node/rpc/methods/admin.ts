/**
 * admin_*: what only the operator may do. These methods are not in the public table: the composition root serves them
 * on a port of its own, behind a token. Each does one thing of `AdminActions`; what a role does not have is
 * absent there and refused by name here.
 */
import type { Hex } from '../../base/bytes.ts'
import { RPC, RpcError } from '../errors.ts'
import { type Json, method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, hash, optional, required, schemas } from '../params.ts'
import { peers } from '../results/openledger.ts'

export type AdminPeer = { readonly id: string; readonly address: string; readonly score?: number }

export type AdminActions = {
  /** Begins to make blocks on `parent`, or on the unsafe head. @throws when the head is another one */
  readonly startSequencer?: (parent: Hex | null) => Promise<void>
  /** After the block in work. Gives the hash of the last block made. */
  readonly stopSequencer?: () => Promise<Hex>
  readonly isSequencing?: () => boolean
  /** Uses up every pending nonce on L1 by a transaction that carries nothing. */
  readonly cancelBatches?: () => Promise<void>
  readonly peers?: () => readonly AdminPeer[]
  readonly connectPeer?: (address: string) => Promise<void>
  readonly disconnectPeer?: (id: string) => Promise<boolean>
  readonly nodeInfo?: () => Json
  /** Takes a waiting transaction out of the pool. */
  readonly dropTransaction?: (txHash: Hex) => boolean
}

const TEXT_MAX = 1_000

const text: ValueType<string> = {
  schema: { type: 'string', minLength: 1, maxLength: TEXT_MAX },
  parse: (value) => {
    if (typeof value !== 'string' || value === '' || value.length > TEXT_MAX) {
      throw bad(`a text of at most ${TEXT_MAX} characters`, value)
    }
    return value
  },
}

/** `actions` is asked at each call: a role may still add to it. */
export function adminMethods(actions: AdminActions): RpcMethods {
  return {
    admin_startSequencer: method({
      summary: 'Starts making blocks on the given parent, or on the unsafe head',
      params: [optional('parentHash', hash, null)],
      result: schemas.boolean,
      handler: async (_context, [parent]) => {
        await need(actions, 'startSequencer', 'a sequencer')(parent)
        return true
      },
    }),
    admin_stopSequencer: method({
      summary: 'Stops making blocks after the one in work; answers the hash of the last block',
      params: [],
      result: schemas.hash,
      handler: () => need(actions, 'stopSequencer', 'a sequencer')(),
    }),
    admin_sequencerActive: method({
      summary: 'Whether this node makes blocks',
      params: [],
      result: schemas.boolean,
      handler: () => actions.isSequencing?.() ?? false,
    }),
    admin_cancelBatches: method({
      summary:
        'Withdraws what waits on L1 and was not taken: every pending nonce carries nothing then',
      params: [],
      result: schemas.boolean,
      handler: async () => {
        await need(actions, 'cancelBatches', 'a batcher')()
        return true
      },
    }),
    admin_peers: method({
      summary: 'Connected peers',
      params: [],
      result: peers,
      handler: () => (actions.peers?.() ?? []).map((peer) => ({ ...peer })),
    }),
    admin_addPeer: method({
      summary: 'Connects to a peer by its multiaddress',
      params: [required('address', text)],
      result: schemas.boolean,
      handler: async (_context, [at]) => {
        await need(actions, 'connectPeer', 'p2p')(at)
        return true
      },
    }),
    admin_removePeer: method({
      summary: 'Disconnects a peer; false when there is none of that id',
      params: [required('peerId', text)],
      result: schemas.boolean,
      handler: (_context, [id]) => need(actions, 'disconnectPeer', 'p2p')(id),
    }),
    admin_nodeInfo: method({
      summary: 'What this node is',
      params: [],
      result: schemas.object,
      handler: ({ clientVersion }) => actions.nodeInfo?.() ?? { version: clientVersion },
    }),
    admin_dropTransaction: method({
      summary: 'Takes a waiting transaction out of the pool; false when it is not there',
      params: [required('transactionHash', hash)],
      result: schemas.boolean,
      handler: (_context, [txHash]) => need(actions, 'dropTransaction', 'a mempool')(txHash),
    }),
  }
}

function need<K extends keyof AdminActions>(
  actions: AdminActions,
  name: K,
  what: string,
): NonNullable<AdminActions[K]> {
  const action = actions[name]
  if (action) return action as NonNullable<AdminActions[K]>
  throw new RpcError(RPC.unavailable, `this node has no part that can do it: it needs ${what}`)
}
