/**
 * The node's error: a stable `code`, a message that says what was wrong with the value and what to
 * do, and data for logs. Each room lists its codes in its own `errors.ts`; `severity` is what the
 * caller should do next. Expected outcomes are values, not errors.
 */

/** retry: the same call may succeed later; reset: start over from a known point; fatal: stop;
 * user: the caller's input is wrong and nothing else is. */
export type Severity = 'retry' | 'reset' | 'fatal' | 'user'

export class NodeError extends Error {
  readonly code: string
  readonly severity: Severity
  readonly data: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    severity: Severity,
    message: string,
    data: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'NodeError'
    this.code = code
    this.severity = severity
    this.data = data
  }
}

export function userError(
  code: string,
  message: string,
  data?: Record<string, unknown>,
): NodeError {
  return new NodeError(code, 'user', message, data)
}

/** Where a node, and its web app, explain a code. */
export const helpOf = (code: string): string => `/errors/${code}`

/** An impossibility: a bug of ours, never input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new NodeError('assertion', 'fatal', `assertion failed: ${message}`)
}

export function assertNever(value: never): never {
  throw new NodeError('assertion', 'fatal', `unreachable case: ${JSON.stringify(value)}`)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
