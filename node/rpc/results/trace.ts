/**
 * Results of `debug_trace*`: structLogs in full, and whatever another tracer gives, which is an object or a list of its
 * own making.
 */
import type { JsonSchema } from '../method.ts'
import { data, flag, hash, integer, listOf, mapOf, oneOf, quantity, shape, text } from './shape.ts'

const step = shape({
  pc: integer,
  op: text,
  gas: integer,
  gasCost: integer,
  depth: { type: 'integer', minimum: 1 },
  'error?': text,
  'refund?': integer,
  'stack?': listOf(quantity),
  'memory?': listOf(hash),
  'returnData?': data,
  'storage?': mapOf(hash),
})

const structLogs = shape(
  { gas: integer, failed: flag, returnValue: data, structLogs: listOf(step) },
  'structLogs',
)

export const trace: JsonSchema = {
  title: 'trace',
  ...oneOf(structLogs, { type: 'object', not: { required: ['structLogs'] } }, { type: 'array' }),
}

export const blockTrace: JsonSchema = listOf(shape({ txHash: hash, result: trace }))
