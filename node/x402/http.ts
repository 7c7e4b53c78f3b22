/**
 * The facilitator's door: `POST /x402/verify`, `POST /x402/settle`, `GET /x402/supported`, as section 7 of the
 * specification has them. A payment that is not good is an answer (200, with the reason); a message that is none, 400.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { readJson, sendError, sendJson } from '../model/openai-http.ts'
import type { Facilitator } from './facilitator.ts'
import { FACILITATOR_DEFAULTS } from './options.ts'
import { type FacilitatorRequest, facilitatorRequestSchema, faultOf } from './schema.ts'

export function createX402Handler(
  modules: { readonly facilitator: Facilitator; readonly log: Log },
  bodyBytesMax: number = FACILITATOR_DEFAULTS.bodyBytesMax,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const { facilitator, log } = modules
  const read = (req: IncomingMessage): Promise<FacilitatorRequest | string> =>
    readRequest(req, bodyBytesMax)
  return async (req, res) => {
    try {
      const path = `${req.method} ${(req.url ?? '').split('?', 1)[0]}`
      if (path === 'GET /x402/supported') return sendJson(res, 200, facilitator.supported())
      if (path === 'POST /x402/verify') {
        const request = await read(req)
        if (typeof request !== 'string')
          return sendJson(res, 200, await facilitator.verify(request))
        const why = { invalidReason: 'invalid_payload', invalidMessage: request }
        return sendJson(res, 400, { isValid: false, ...why })
      }
      if (path === 'POST /x402/settle') {
        const request = await read(req)
        if (typeof request !== 'string')
          return sendJson(res, 200, await facilitator.settle(request))
        const why = { errorReason: 'invalid_payload', errorMessage: request }
        const { network } = facilitator
        return sendJson(res, 400, { success: false, ...why, transaction: '', network })
      }
      const paths = 'GET /x402/supported, POST /x402/verify, POST /x402/settle'
      throw userError('not-found', `no such path: ${path}; there are ${paths}`)
    } catch (error) {
      sendError(res, error, log)
    }
  }
}

/** The request, or what is wrong with it. */
async function readRequest(
  req: IncomingMessage,
  bytesMax: number,
): Promise<FacilitatorRequest | string> {
  const read = facilitatorRequestSchema.safeParse(await readJson(req, bytesMax))
  return read.success ? read.data : faultOf(read.error)
}
