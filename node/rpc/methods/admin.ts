/**
 * admin_*: what only the operator may do. These methods are not in the public table: the composition root serves them
 * on a port of its own, behind a token. Each does one thing of `AdminActions`; what a role does not have is
 * absent there and refused by name here.
 */
import type { Hex } from '../../base/bytes.ts'
import type { BlockRef } from '../../chain/types.ts'
import { RPC, RpcError } from '../errors.ts'
import { type Json, type JsonObject, method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, count, hash, oneOf, optional, required, schemas } from '../params.ts'
import { derivationPlace, peers } from '../results/openledger.ts'
import { shape, text } from '../results/shape.ts'

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
  /** Derives again from an L1 block, or from an L2 block, or from the newest point before it that is kept. */
  readonly resetDerivation?: (layer: 'l1' | 'l2', number: bigint) => Promise<DerivationReset>
  /** Takes a waiting transaction out of the pool. */
  readonly dropTransaction?: (txHash: Hex) => boolean
}

type DerivationPlace = { readonly l1: BlockRef; readonly safe: BlockRef }
/** Where derivation begins again, and where it was. */
export type DerivationReset = { readonly from: DerivationPlace; readonly was: DerivationPlace }

const TEXT_MAX = 1_000

const words: ValueType<string> = {
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
      params: [required('address', words)],
      result: schemas.boolean,
      handler: async (_context, [at]) => {
        await need(actions, 'connectPeer', 'p2p')(at)
        return true
      },
    }),
    admin_removePeer: method({
      summary: 'Disconnects a peer; false when there is none of that id',
      params: [required('peerId', words)],
      result: schemas.boolean,
      handler: (_context, [id]) => need(actions, 'disconnectPeer', 'p2p')(id),
    }),
    admin_nodeInfo: method({
      summary: 'What this node is',
      params: [],
      result: schemas.object,
      handler: ({ clientVersion }) => actions.nodeInfo?.() ?? { version: clientVersion },
    }),
    admin_resetDerivation: method({
      summary:
        'Derives again from the newest kept point at or before an L1 or L2 block, or from genesis; answers from where, and where it was. Blocks that come out the same stay',
      params: [required('layer', oneOf(['l1', 'l2'])), required('number', count)],
      result: shape({ from: derivationPlace, was: derivationPlace, message: text }),
      handler: async (_context, [layer, number]) => {
        const reset = await need(actions, 'resetDerivation', 'derivation')(layer, BigInt(number))
        return resetObject(reset)
      },
    }),
    admin_dropTransaction: method({
      summary: 'Takes a waiting transaction out of the pool; false when it is not there',
      params: [required('transactionHash', hash)],
      result: schemas.boolean,
      handler: (_context, [txHash]) => need(actions, 'dropTransaction', 'a mempool')(txHash),
    }),
  }
}

function resetObject({ from, was }: DerivationReset): JsonObject {
  const place = ({ l1, safe }: DerivationPlace): JsonObject => ({ l1: ref(l1), safe: ref(safe) })
  const ref = ({ hash: at, number }: BlockRef): JsonObject => ({ number: Number(number), hash: at })
  const reread =
    from.l1.number === was.l1.number
      ? 'no L1 block is read again'
      : `L1 blocks ${from.l1.number + 1n} to ${was.l1.number} are read again`
  const message = `${reread}; the safe head went from ${was.safe.number} to ${from.safe.number}, and what is above is compared with L1 anew`
  return { from: place(from), was: place(was), message }
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
