/**
 * What a JSON-RPC method is, in one entry: parameters (checked before the handler runs), result, summary,
 * example, cost and handler. The OpenRPC document, the generated reference and the rate limit read the same
 * entry. Other rooms add methods with the same helper:
 *
 *   export const openledgerMethods = (services): RpcMethods => ({
 *     openledger_getReceipt: method({
 *       summary: 'A settled inference receipt',
 *       params: [required('receiptHash', hash)],
 *       result: { type: ['object', 'null'] },
 *       handler: async (_ctx, [receiptHash]) => services.receipt(receiptHash),
 *     }),
 *   })
 */
import type { RpcContext } from './context.ts'
import type { Session } from './session.ts'

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export type JsonObject = { readonly [key: string]: Json | undefined }
export type JsonSchema = JsonObject

/** How one kind of value is read. `parse` throws an Error that says what was expected; where it
 * stood is added by the caller. */
export type ValueType<T> = { readonly schema: JsonSchema; parse(value: unknown): T }

export type ParamSpec<T = unknown> = {
  readonly name: string
  readonly isRequired: boolean
  readonly schema: JsonSchema
  /** `undefined` for an argument that was left out. @throws RpcError -32602 */
  read(value: unknown, position: number): T
}

export type Example = { readonly params: readonly Json[]; readonly result: Json }

export type RpcMethod = {
  readonly summary: string
  readonly params: readonly ParamSpec[]
  readonly result: JsonSchema
  readonly example: Example | null
  /** What a call takes from a client's rate (`rateCostPerSecond`): 1 is a read of one thing. */
  readonly cost: number
  /** Runs on a thread where the node has some (`workers/`): it works with the chain alone. */
  readonly aside: boolean
  /** Only over WebSocket. */
  readonly needsSession: boolean
  /** Told of all requests of a batch before the first is handled, so that slow work can begin for all
   * at once. Never throws; the handler decides. */
  prepare?(context: RpcContext, args: readonly unknown[]): void
  handler(context: RpcContext, args: readonly unknown[], session: Session | null): Promise<Json>
}

export type RpcMethods = Readonly<Record<string, RpcMethod>>

type ArgsOf<P extends readonly ParamSpec[]> = {
  readonly [K in keyof P]: P[K] extends ParamSpec<infer T> ? T : never
}

type Spec<P extends readonly ParamSpec[]> = {
  readonly summary: string
  readonly params: P
  readonly result: JsonSchema
  readonly example?: Example
  /** Default: `COST.read`. */
  readonly cost?: number
  /** Default: whatever costs more than a read. */
  readonly aside?: boolean
}

/** Classes of cost; a rough ratio of the work of one call. */
export const COST = { read: 1, scan: 10, run: 10, replay: 50 } as const

export function method<const P extends readonly ParamSpec[]>(
  spec: Spec<P> & {
    prepare?(context: RpcContext, args: ArgsOf<P>): void
    handler(context: RpcContext, args: ArgsOf<P>): Promise<Json> | Json
  },
): RpcMethod {
  return {
    ...entryOf(spec),
    needsSession: false,
    ...(spec.prepare
      ? { prepare: (context, args) => spec.prepare?.(context, args as ArgsOf<P>) }
      : {}),
    handler: async (context, args) => spec.handler(context, args as ArgsOf<P>),
  }
}

/** A method of one connection: subscriptions. */
export function sessionMethod<const P extends readonly ParamSpec[]>(
  spec: Spec<P> & {
    handler(context: RpcContext, args: ArgsOf<P>, session: Session): Promise<Json> | Json
  },
): RpcMethod {
  return {
    ...entryOf(spec),
    aside: false,
    needsSession: true,
    handler: async (context, args, session) =>
      spec.handler(context, args as ArgsOf<P>, session as Session),
  }
}

function entryOf<P extends readonly ParamSpec[]>(
  spec: Spec<P>,
): Omit<RpcMethod, 'needsSession' | 'handler' | 'prepare'> {
  const { summary, params, result, example = null, cost = COST.read } = spec
  return { summary, params, result, example, cost, aside: spec.aside ?? cost > COST.read }
}
