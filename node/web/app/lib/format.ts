/** Numbers, amounts, hashes and times as people read them. Amounts are exact in `exactOpen`, rounded for the eye in `open`. */

const WEI_DIGITS = 18
const group = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** 1234567 -> 1,234,567. */
export const integer = (value: number | bigint | string): string => group.format(BigInt(value))

/** `1 row`, `2,000 rows`. */
export const counted = (count: number, what: string): string =>
  `${integer(count)} ${what}${count === 1 ? '' : 's'}`

/** wei to OPEN, exact to the last digit, without trailing zeros: `12.5`. */
export function exactOpen(wei: bigint | string): string {
  const amount = BigInt(wei)
  const digits = (amount < 0n ? -amount : amount).toString().padStart(WEI_DIGITS + 1, '0')
  const fraction = digits.slice(-WEI_DIGITS).replace(/0+$/, '')
  const whole = group.format(BigInt(digits.slice(0, -WEI_DIGITS)))
  return `${amount < 0n ? '−' : ''}${whole}${fraction ? `.${fraction}` : ''}`
}

/** wei to OPEN for the eye: five significant digits, small amounts as `0.0₆123` with the count of zeros. */
export function open(wei: bigint | string): string {
  const exact = exactOpen(wei)
  const [whole = '0', fraction = ''] = exact.split('.')
  if (!fraction) return whole
  if (whole !== '0' && whole !== '−0') {
    const kept = Math.max(0, 5 - whole.replace(/\D/g, '').length)
    const cut = fraction.slice(0, Math.max(kept, whole.length > 5 ? 0 : 2)).replace(/0+$/, '')
    return cut ? `${whole}.${cut}` : whole
  }
  const zeros = fraction.length - fraction.replace(/^0+/, '').length
  const significant = fraction.slice(zeros, zeros + 4).replace(/0+$/, '')
  if (zeros < 4) return `${whole}.${'0'.repeat(zeros)}${significant}`
  return `${whole}.0${subscript(zeros)}${significant}`
}

const subscript = (value: number): string =>
  [...String(value)].map((digit) => String.fromCharCode(0x2080 + Number(digit))).join('')

/** `1.5` -> wei; null when it is no amount. At most 18 decimals. */
export function parseOpen(text: string): bigint | null {
  const found = /^(\d{1,12})(?:\.(\d{1,18}))?$|^\.(\d{1,18})$/.exec(text.trim().replaceAll(',', ''))
  if (!found) return null
  const fraction = (found[2] ?? found[3] ?? '').padEnd(WEI_DIGITS, '0')
  return BigInt(found[1] ?? 0) * 10n ** 18n + BigInt(fraction)
}

/** 0x12345678…9abcde. */
export const short = (hex: string, head = 8, tail = 6): string =>
  hex.length <= head + tail + 3 ? hex : `${hex.slice(0, head + 2)}…${hex.slice(-tail)}`

/** wei as gwei, with up to 4 significant decimals; very little as wei. */
export function gwei(wei: bigint | string): string {
  if (BigInt(wei) < 100_000n) return `${integer(wei)} wei`
  const value = Number(BigInt(wei)) / 1e9
  return `${value >= 100 ? value.toFixed(0) : Number(value.toPrecision(4))} gwei`
}

export function percent(part: number, digits = 1): string {
  return `${(part * 100).toFixed(digits)} %`
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** Decimal units. */
export function bytes(count: number): string {
  const step = Math.min(SIZES.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3))
  const value = count / 1000 ** step
  return `${step === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${SIZES[step]}`
}

/** 12.3k, 4.56M; exact below 10,000. */
export function compact(value: number): string {
  if (Math.abs(value) < 10_000) return integer(Math.round(value))
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 }).format(
    value,
  )
}

/** A span of time in its two largest units: `2 min 5 s`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** `12 s ago`, or `in 3 min` for what is to come. `at` in seconds since 1970, as chains have it. */
export function age(at: number, nowMs: number): string {
  const elapsed = nowMs - at * 1000
  if (elapsed < -999) return `in ${duration(-elapsed)}`
  return elapsed < 1_000 ? 'now' : `${duration(elapsed)} ago`
}

const stamp = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** Local date and time. */
export const dateTime = (at: number): string => stamp.format(at * 1000)

/** The message of any error, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
