/** What the app makes of a contributor's content that it could not look at; the errors are worded as a node words them. */
import t from 'tap'
import { userError } from '../../../node/base/errors.ts'
import { P2PError } from '../../../node/p2p/errors.ts'
import { RpcError as NodeRpcError, RPC, rpcErrorOf } from '../../../node/rpc/errors.ts'
import { judged } from '../../../node/web/app/lib/judged.ts'
import { RpcError } from '../../../node/web/app/lib/rpc.ts'

/** As it comes out of the app's JSON-RPC. */
function refused(error: unknown): RpcError {
  const { code, message, data } = rpcErrorOf(error) as NodeRpcError
  return new RpcError(code, message, data)
}

async function looks(...faults: Error[]) {
  const waits: number[] = []
  const look = async (): Promise<string> => {
    const fault = faults.length > 1 ? faults.shift() : faults[0]
    if (fault) throw fault
    return 'rows'
  }
  const found = await judged(look, async (ms) => void waits.push(ms)).catch((error) => error)
  return { found, waits }
}

t.test(
  'what cannot be had now is asked for again, and then unavailable, never wrong',
  async (t) => {
    const gone = refused(new P2PError('not-found', 'nobody shows it'))
    t.match(await looks(gone), { found: { kind: 'unavailable' }, waits: [250, 500, 1_000] })
    const wrong = refused(userError('content-too-large', 'more than may be'))
    t.match(await looks(gone, wrong), { found: { kind: 'wrong' }, waits: [250] })
    t.match(await looks(userError('datanet-rows', 'row 1: …')), {
      found: { kind: 'wrong' },
      waits: [],
    })
  },
)

t.test(
  'a node that asks to be asked less, or has no such method, says nothing of it',
  async (t) => {
    const busy = refused(
      new NodeRpcError(RPC.limitExceeded, 'too many requests', { retryAfterMs: 800 }),
    )
    t.match(await looks(busy), { found: RpcError, waits: [800, 800, 1_000] })
    t.match(await looks(refused(new NodeRpcError(RPC.methodNotFound, 'none'))), {
      found: RpcError,
      waits: [],
    })
    t.match(await looks(new TypeError('a fault of ours')), { found: TypeError, waits: [] })
  },
)
