/** Who calls: from where, and what it brings to pay with. */
import type { IncomingMessage } from 'node:http'
import { isLocal, isLoopback, isOwnName } from '../model/openai-http.ts'
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
 * What proxies add says nothing here: a page sets `X-Forwarded-For` or `Forwarded` itself (not `Via`, which the Fetch standard
 * keeps from pages). So of connections from this machine, a site's name is taken from a proxy that adds
 * `Via` alone, or on the operator's word (`--behind-proxy true`, which has the same effect).
 */
export function isForeign(req: IncomingMessage): boolean {
  const { origin, host } = req.headers
  if (origin === undefined) return false
  if (origin !== `http://${host}` && origin !== `https://${host}`) return true
  return isLoopback(req) && req.headers.via === undefined && !isOwnName(host)
}
