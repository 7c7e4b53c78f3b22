/**
 * Errors of the engine as JavaScript errors with a `code`. Rust sends `CODE: message`; here it is
 * taken apart, so callers switch on the code and never parse text.
 */

export const NATIVE_CODES = [
  'NATIVE_IO',
  'NATIVE_BAD_MODEL',
  'NATIVE_BAD_ADAPTER',
  'NATIVE_UNSUPPORTED',
  'NATIVE_BAD_INPUT',
  'NATIVE_BAD_INDEX',
  'NATIVE_CANCELLED',
  'NATIVE_QUEUE_FULL',
  'NATIVE_SHUTTING_DOWN',
  'NATIVE_UNKNOWN_ADAPTER',
  'NATIVE_OUT_OF_MEMORY',
  'NATIVE_DIVERGED',
  'NATIVE_INTERNAL',
] as const

export type NativeCode = (typeof NATIVE_CODES)[number]

/** A failure of the engine; `code` says what to do about it. */
export class NativeError extends Error {
  readonly code: NativeCode

  constructor(code: NativeCode, message: string) {
    super(message)
    this.name = 'NativeError'
    this.code = code
  }
}

/** Any thrown value as a NativeError. */
export function asNativeError(cause: unknown): NativeError {
  if (cause instanceof NativeError) return cause
  const text = cause instanceof Error ? cause.message : String(cause)
  const split = text.indexOf(': ')
  const code = NATIVE_CODES.find((known) => known === text.slice(0, split))
  // Wrong argument types are refused by the skin itself, without a code of ours.
  return code === undefined
    ? new NativeError('NATIVE_BAD_INPUT', text)
    : new NativeError(code, text.slice(split + 2))
}
