/** admin_ methods of the node itself: what an operator changes while it runs. */
import { messageOf } from '../base/errors.ts'
import type { LogControl } from '../base/log.ts'
import { RPC, RpcError } from '../rpc/errors.ts'
import { method, type RpcMethods, type ValueType } from '../rpc/method.ts'
import { optional, required, schemas } from '../rpc/params.ts'

const text: ValueType<string> = {
  schema: { type: 'string' },
  parse: (value) => {
    if (typeof value === 'string') return value
    throw new Error('want a text')
  },
}

export function logMethods(control: LogControl): RpcMethods {
  return {
    admin_setLogLevel: method({
      summary: 'Sets the level of one room, or of all rooms when none is named',
      params: [required('level', text), optional('room', text, '*')],
      result: schemas.object,
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
      result: schemas.object,
      handler: () => control.levels(),
    }),
  }
}
