/**
 * admin_*: what only the operator may do. These methods are not in the public table: the composition root serves them
 * on a port of its own, behind a token. Each does one thing of `AdminActions`; what a role does not have is
 * absent there and refused by name here.
 */
import type { Hex } from '../../base/bytes.ts'
import { RPC, RpcError } from '../errors.ts'
import { type Json, method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, bytes, hash, optional, required, schemas } from '../params.ts'

export type AdminPeer = { readonly id: string; readonly address: string; readonly score?: number }

export type AdminActions = {
  /** Begins to make blocks on `parent`, or on the unsafe head. @throws when the head is another one */
  readonly startSequencer?: (parent: Hex | null) => Promise<void>
  /** After the block in work. Gives the hash of the last block made. */
  readonly stopSequencer?: () => Promise<Hex>
  readonly isSequencing?: () => boolean
  /** A signed block that came some other way than gossip. */
  readonly postUnsafeBlock?: (signed: Uint8Array) => Promise<void>
  /** Derivation begins again from the last block it is sure of. */
  readonly resetDerivation?: () => Promise<void>
  readonly peers?: () => readonly AdminPeer[]
  readonly connectPeer?: (address: string) => Promise<void>
  readonly disconnectPeer?: (id: string) => Promise<boolean>
  readonly nodeInfo?: () => Json
  readonly logLevel?: () => string
  readonly setLogLevel?: (level: LogLevel) => void
  /** Takes a waiting transaction out of the pool. */
  readonly dropTransaction?: (txHash: Hex) => boolean
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const TEXT_MAX = 1_000

const level: ValueType<LogLevel> = {
  schema: { enum: LOG_LEVELS },
  parse: (value) => {
    const found = LOG_LEVELS.find((name) => name === value)
    if (!found) throw bad(`one of ${LOG_LEVELS.join(', ')}`, value)
    return found
  },
}

const text: ValueType<string> = {
  schema: { type: 'string', minLength: 1, maxLength: TEXT_MAX },
  parse: (value) => {
    if (typeof value !== 'string' || value === '' || value.length > TEXT_MAX) {
      throw bad(`a text of at most ${TEXT_MAX} characters`, value)
    }
    return value
  },
}

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
    admin_postUnsafePayload: method({
      summary: 'Takes in a signed block as if it had come by gossip',
      params: [required('signedBlock', bytes)],
      result: schemas.boolean,
      handler: async (_context, [signed]) => {
        await need(actions, 'postUnsafeBlock', 'a follower')(signed)
        return true
      },
    }),
    admin_resetDerivationPipeline: method({
      summary: 'Derives again from the last block that is sure',
      params: [],
      result: schemas.boolean,
      handler: async () => {
        await need(actions, 'resetDerivation', 'a node that derives from L1')()
        return true
      },
    }),
    admin_peers: method({
      summary: 'Connected peers',
      params: [],
      result: schemas.array,
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
    admin_logLevel: method({
      summary: 'The level logs are written from',
      params: [],
      result: { enum: LOG_LEVELS },
      handler: () => need(actions, 'logLevel', 'a log with levels')(),
    }),
    admin_setLogLevel: method({
      summary: 'Changes the level logs are written from, until the next start',
      params: [required('level', level)],
      result: { type: 'null' },
      handler: (_context, [wanted]) => {
        need(actions, 'setLogLevel', 'a log with levels')(wanted)
        return null
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

function need<K extends keyof AdminActions>(
  actions: AdminActions,
  name: K,
  what: string,
): NonNullable<AdminActions[K]> {
  const action = actions[name]
  if (action) return action as NonNullable<AdminActions[K]>
  throw new RpcError(RPC.unavailable, `this node has no part that can do it: it needs ${what}`)
}
