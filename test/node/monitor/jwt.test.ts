import { createHmac } from 'node:crypto'
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createToken, loadJwtSecret, refusalOf } from '../../../node/monitor/jwt.ts'

const SECRET = new Uint8Array(32).fill(7)
const NOW = 1_700_000_000

function aToken(header: unknown, body: unknown, secret = SECRET): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part(header)}.${part(body)}`
  return `Bearer ${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

t.test('a token opens the door for a minute', async (t) => {
  const header = `Bearer ${createToken(SECRET, NOW)}`
  for (const now of [NOW, NOW + 60, NOW - 60]) t.equal(refusalOf(header, SECRET, now), null)
  t.match(refusalOf(header, SECRET, NOW + 61), /stale token/)
  t.match(refusalOf(header, SECRET, NOW - 61), /stale token/)
  const HS256 = { alg: 'HS256', typ: 'JWT' }
  t.equal(
    refusalOf(aToken(HS256, { iat: NOW }), SECRET, NOW),
    null,
    "and anybody's HS256 token does",
  )
})

t.test('every other token is refused with the reason', async (t) => {
  const HS256 = { alg: 'HS256', typ: 'JWT' }
  const rows: [string | undefined, RegExp][] = [
    [undefined, /missing token/],
    ['Basic abc', /missing token/],
    [aToken({ alg: 'none' }, { iat: NOW }), /want a JWT with HS256/],
    [aToken(HS256, { iat: NOW }, new Uint8Array(32)), /signed with another secret/],
    [aToken(HS256, {}), /stale token/],
    [aToken(HS256, { iat: String(NOW) }), /stale token/],
    [aToken(HS256, { iat: NOW, exp: NOW - 1 }), /exp has passed/],
    ['Bearer a.b', /want a JWT/],
    [`Bearer ${'x'.repeat(10_000)}`, /missing token/],
  ]
  for (const [header, reason] of rows) t.match(refusalOf(header, SECRET, NOW), reason)
})

t.test(
  'the secret is made once, for the owner alone, and refused when others can read it',
  async (t) => {
    const path = join(t.testdir(), 'jwt.hex')
    const first = loadJwtSecret(path)
    t.equal(first.length, 32)
    t.same(loadJwtSecret(path), first)
    t.equal(statSync(path).mode & 0o777, 0o600)
    chmodSync(path, 0o640)
    t.throws(() => loadJwtSecret(path), /chmod 600/)
    chmodSync(path, 0o600)
    writeFileSync(path, 'short')
    t.throws(() => loadJwtSecret(path), /not 32 bytes of hex/)
  },
)
