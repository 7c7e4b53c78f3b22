/** Who calls: from where, and what it brings to pay with. */
import type { IncomingMessage } from 'node:http'
import { isLocal } from '../model/openai-http.ts'
import type { Visitor } from './types.ts'

const PAYMENT_HEADERS = ['payment-signature', 'x-openledger-payment', 'x-openledger-payer']

export function visitorOf(req: IncomingMessage): Visitor {
  const payment = PAYMENT_HEADERS.flatMap((name) => {
    const value = req.headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return { payment: Object.fromEntries(payment), isLocal: isLocal(req) }
}

/** A page of another site, in the browser of somebody who can reach this node (DNS rebinding, MCP's transport rules). */
export function isForeign({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  return origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`
}
