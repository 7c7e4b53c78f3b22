/** Who calls: from where, and what it brings to pay with. */
import type { IncomingMessage } from 'node:http'
import { isDirect, isLocal, isOwnName } from '../model/openai-http.ts'
import type { Visitor } from './types.ts'

const PAYMENT_HEADERS = ['payment-signature', 'x-openledger-payment', 'x-openledger-payer']

export function visitorOf(req: IncomingMessage): Visitor {
  const payment = PAYMENT_HEADERS.flatMap((name) => {
    const value = req.headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return { payment: Object.fromEntries(payment), isLocal: isLocal(req) }
}

/**
 * A page of another site, in the browser of somebody who can reach this node (MCP's transport rules): by its own name, or
 * by DNS rebinding, where the name it was asked by is the page's too, but the connection comes from this machine itself.
 */
export function isForeign(req: IncomingMessage): boolean {
  const { origin, host } = req.headers
  if (origin === undefined) return false
  if (origin !== `http://${host}` && origin !== `https://${host}`) return true
  return isDirect(req) && !isOwnName(host)
}
