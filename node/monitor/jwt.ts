/**
 * Tokens of the admin server, as the engine API has them: JWT, HS256 over a 32-byte secret in a file, `iat`
 * within a minute of our clock. One token is good for a minute and says nothing but "I hold the secret".
 *
 * https://github.com/ethereum/execution-apis/blob/main/src/engine/authentication.md
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { readSecretFile, writeSecretFile } from '../keys/files.ts'
import type { NodeOptions } from '../options.ts'

const SKEW_S_MAX = 60
const SECRET_BYTES = 32
const HEADER = base64url('{"alg":"HS256","typ":"JWT"}')
const TOKEN_CHARACTERS_MAX = 4_096

/** `now` in Unix seconds. */
export function createToken(secret: Uint8Array, now: number): string {
  const signed = `${HEADER}.${base64url(JSON.stringify({ iat: Math.floor(now) }))}`
  return `${signed}.${signatureOf(signed, secret).toString('base64url')}`
}

/** Why an Authorization header does not open the door; null when it does. */
export function refusalOf(
  header: string | undefined,
  secret: Uint8Array,
  now: number,
): string | null {
  const token = header?.match(/^Bearer (\S+)$/i)?.[1]
  if (!token || token.length > TOKEN_CHARACTERS_MAX) {
    return 'missing token: send Authorization: Bearer <JWT>'
  }
  const [head = '', body = '', signature = '', ...rest] = token.split('.')
  if (rest.length || decode(head).alg !== 'HS256') return 'invalid token: want a JWT with HS256'
  const given = Buffer.from(signature, 'base64url')
  const wanted = signatureOf(`${head}.${body}`, secret)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    return 'invalid token: it was signed with another secret'
  }
  const { iat, exp } = decode(body)
  if (typeof iat !== 'number' || Math.abs(now - iat) > SKEW_S_MAX) {
    return `stale token: iat must be within ${SKEW_S_MAX} s of this machine's clock`
  }
  return typeof exp === 'number' && exp <= now ? 'stale token: exp has passed' : null
}

/** Whether a request bears the operator's token; nobody does on a node without an admin server. */
export function operatorCheck(
  options: Pick<NodeOptions, 'adminPort' | 'jwtSecret' | 'dataDir'>,
): (request: { readonly headers: { readonly authorization?: string | undefined } }) => boolean {
  if (options.adminPort === null) return () => false
  const secret = loadJwtSecret(jwtPathOf(options))
  return ({ headers }) => refusalOf(headers.authorization, secret, Date.now() / 1000) === null
}

export function jwtPathOf({
  jwtSecret,
  dataDir,
}: Pick<NodeOptions, 'jwtSecret' | 'dataDir'>): string {
  return jwtSecret ?? join(dataDir, 'jwt.hex')
}

/** Reads the secret, or makes it. @throws NodeError `key-file`, `options` */
export function loadJwtSecret(path: string): Uint8Array {
  if (!existsSync(path)) writeSecretFile(path, `0x${randomBytes(SECRET_BYTES).toString('hex')}\n`)
  const hex = readSecretFile(path, 'JWT secret').trim().replace(/^0x/, '')
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) {
    throw userError('options', `the JWT secret ${path} is not 32 bytes of hex`)
  }
  return fromHex(`0x${hex}`)
}

function signatureOf(text: string, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(text).digest()
}

function decode(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
