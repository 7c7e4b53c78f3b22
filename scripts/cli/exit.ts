/** What a status of the `openledger` command means. Scripts and service managers may rely on it. */
import { NodeError } from '../../node/base/errors.ts'

export const EXIT = {
  ok: 0,
  /** Something unexpected; the message and the log say what. */
  failure: 1,
  /** The command line, an option, the configuration or a key: starting again will not help. */
  usage: 2,
  /** The data directory: in use, another chain's, a newer schema, damaged. */
  data: 3,
  /** `doctor`, `db verify`, `snapshot verify` found something wrong. */
  findings: 4,
  /** The disk is full: free some space and start again; nothing is lost. */
  diskFull: 5,
  /** Ended by a second signal without a clean shutdown. */
  killed: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_HELP = `Exit status: 0 ok, 1 unexpected failure, 2 command line or configuration, 3 data directory,
4 findings (doctor, verify), 5 disk full, 130 second signal`

/**
 * The code of a failure whose message is enough for a user: the node's own, the engine's, the operating system's. None for
 * a fault of ours, of which the stack is wanted.
 */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof NodeError) return error.code
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown }
  const isKnown = typeof code === 'string' && (syscall !== undefined || /^NATIVE_/.test(code))
  return isKnown && code !== 'NATIVE_INTERNAL' ? code : undefined
}

export function exitOf(error: unknown): ExitCode {
  if (!(error instanceof NodeError)) {
    return /^NATIVE_(BAD_|UNSUPPORTED)/.test(codeOf(error) ?? '') ? EXIT.usage : EXIT.failure
  }
  const { code, severity } = error
  if (code === 'disk-full') return EXIT.diskFull
  if (/^(store|datadir|snapshot)-/.test(code)) return EXIT.data
  return severity === 'user' ? EXIT.usage : EXIT.failure
}
