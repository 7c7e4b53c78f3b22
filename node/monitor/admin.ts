/** admin_ methods of the node itself: what an operator changes while it runs. */
import { isAbsolute } from 'node:path'
import { messageOf } from '../base/errors.ts'
import type { LogControl } from '../base/log.ts'
import { describeStore } from '../chain/describe.ts'
import { RPC, RpcError } from '../rpc/errors.ts'
import { type JsonObject, method, type RpcMethods, type ValueType } from '../rpc/method.ts'
import { optional, required, schemas } from '../rpc/params.ts'
import { integer, mapOf, openShape, text as TEXT } from '../rpc/results/shape.ts'
import { createSnapshot } from '../store/snapshot.ts'
import type { Store } from '../store/store.ts'

const text: ValueType<string> = {
  schema: { type: 'string' },
  parse: (value) => {
    if (typeof value === 'string') return value
    throw new Error('want a text')
  },
}

/** A copy while the node runs: one reader of the database, which sees it as of one instant. */
export function snapshotMethods(store: Store): RpcMethods {
  return {
    admin_createSnapshot: method({
      summary: 'Copies the database as of now into a new folder of this machine; answers when done',
      params: [required('folder', text)],
      result: openShape({ folder: TEXT, rows: integer, bytes: integer, about: schemas.object }),
      handler: async (_context, [folder]) => {
        if (!isAbsolute(folder)) {
          throw new RpcError(RPC.invalidParams, `the folder '${folder}' is not an absolute path`)
        }
        try {
          const { rows, bytes, about } = await createSnapshot(store.database, folder, (meta) =>
            describeStore(store, meta),
          )
          return { folder, rows, bytes, about: about as JsonObject }
        } catch (error) {
          throw new RpcError(RPC.server, messageOf(error))
        }
      },
    }),
  }
}

export function logMethods(control: LogControl): RpcMethods {
  return {
    admin_setLogLevel: method({
      summary: 'Sets the level of one room, or of all rooms when none is named',
      params: [required('level', text), optional('room', text, '*')],
      result: mapOf(TEXT),
      handler: (_context, [level, room]) => {
        try {
          control.setLevel(level, room)
        } catch (error) {
          throw new RpcError(RPC.invalidParams, messageOf(error))
        }
        return control.levels()
      },
    }),
    admin_logLevels: method({
      summary: 'The level of every room that has its own, and of the rest (*)',
      params: [],
      result: mapOf(TEXT),
      handler: () => control.levels(),
    }),
  }
}
