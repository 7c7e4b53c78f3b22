/**
 * `/session`: signing in over HTTP.
 *
 *   GET  /session/nonce                          -> {nonce, chainId}
 *   POST /session {message, signature}           -> {account, expiresAt, key}
 *   GET  /session, DELETE /session               with `Authorization: Bearer KEY`: who that is; ends it
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Abi } from 'viem'
import { parseAbi } from 'viem/utils'
import { readBody } from '../base/body.ts'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type ChainReader, readContract } from '../model/contracts.ts'
import { COST } from '../rpc/method.ts'
import { SESSION_LIMITS, Sessions } from './sessions.ts'

const PREFIX = '/session'

const ERC1271: Abi = parseAbi(['function isValidSignature(bytes32, bytes) view returns (bytes4)'])
const IS_VALID = '0x1626ba7e'

/** Sessions of one node: their route, and whether the operator lets who signed in spend the node's money. */
export function openSessions(
  options: { readonly webDomains: readonly string[]; readonly sessionAccounts: readonly string[] },
  chain: ChainReader & { readonly config: { readonly l2ChainId: number } },
): {
  readonly route: {
    readonly prefix: string
    readonly cost: number
    readonly handle: ReturnType<typeof sessionHandler>
  }
  admits(req: IncomingMessage): boolean
} {
  const chainId = chain.config.l2ChainId
  const sessions = new Sessions({
    chainId,
    domains: options.webDomains,
    now: Date.now,
    isValidSignature: (address, hash, signature) =>
      readContract(chain, { address, abi: ERC1271 }, 'isValidSignature', [hash, signature]).then(
        (value) => value === IS_VALID,
        // No contract there, or one that knows no signatures.
        () => false,
      ),
  })
  const admitted = new Set(options.sessionAccounts.map((account) => account.toLowerCase()))
  return {
    // Signing in may run any contract (ERC-1271), as a call does.
    route: { prefix: PREFIX, cost: COST.run, handle: sessionHandler(sessions, chainId) },
    admits: ({ headers }) => admitted.has(sessions.find(headers.authorization)?.account ?? ''),
  }
}

export function sessionHandler(
  sessions: Sessions,
  chainId: number,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    const path = (req.url ?? '/').split('?', 1)[0]
    const { authorization } = req.headers
    if (path === '/session/nonce' && req.method === 'GET')
      return answer(res, 200, { nonce: sessions.nonce(), chainId })
    if (path !== PREFIX) return refuse(res, 404, 'not-found', `there is no ${path}`)
    if (req.method === 'POST') return signIn(req, res, sessions)
    if (req.method === 'DELETE') {
      sessions.close(authorization)
      return answer(res, 200, {})
    }
    const session = sessions.find(authorization)
    if (session) return answer(res, 200, session)
    refuse(res, 401, 'sign-in', 'no such session: sign in again (GET /session/nonce)')
  }
}

async function signIn(
  req: IncomingMessage,
  res: ServerResponse,
  sessions: Sessions,
): Promise<void> {
  const { message, signature } = parsed(await readBody(req, 2 * SESSION_LIMITS.messageBytesMax))
  if (typeof message !== 'string' || !/^0x([0-9a-f]{2})+$/i.test(String(signature)))
    return refuse(res, 400, 'body', "the body is JSON with a text 'message' and hex 'signature'")
  try {
    answer(res, 200, await sessions.open(message, signature as Hex))
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    refuse(res, 401, error.code, error.message)
  }
}

function parsed(body: Buffer | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(String(body))
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch {}
  return {}
}

/** As the doors of `/v1` answer. */
const refuse = (res: ServerResponse, status: number, code: string, message: string): void =>
  answer(res, status, { error: { message, type: 'invalid_request_error', param: null, code } })

function answer(res: ServerResponse, status: number, body: object): void {
  res
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body))
}
