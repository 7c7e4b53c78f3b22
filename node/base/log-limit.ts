/**
 * A log that cannot be made to flood: of each event at most `linesMax` lines in `windowMs`; what was left out
 * is counted on the event's next line. Errors always pass: they are said once, when something stops.
 */
import type { Log, LogData } from './log.ts'

export type LogLimit = {
  /** Lines of one event in one window. */
  readonly linesMax: number
  /** Milliseconds. */
  readonly windowMs: number
}

export const LOG_LIMIT_DEFAULT: LogLimit = { linesMax: 5, windowMs: 10_000 }
/** Events are literals in the code; this only bounds a mistake. */
const EVENTS_MAX = 256

type Window = { endsMs: number; lines: number; suppressed: number }

/** @param now milliseconds, monotonic */
export function limitLog(
  log: Log,
  limit: LogLimit = LOG_LIMIT_DEFAULT,
  now: () => number = () => performance.now(),
): Log {
  const windows = new Map<string, Window>()
  const pass = (event: string): { suppressed: number } | null => {
    const time = now()
    let window = windows.get(event)
    if (!window || time >= window.endsMs) {
      const suppressed = window?.suppressed ?? 0
      if (windows.size >= EVENTS_MAX) windows.clear()
      window = { endsMs: time + limit.windowMs, lines: 0, suppressed }
      windows.set(event, window)
    }
    if (window.lines >= limit.linesMax) {
      window.suppressed++
      return null
    }
    window.lines++
    const { suppressed } = window
    window.suppressed = 0
    return { suppressed }
  }
  const limited =
    (write: (event: string, data?: LogData) => void) =>
    (event: string, data: LogData = {}): void => {
      const passed = pass(event)
      if (passed) write(event, passed.suppressed > 0 ? { ...data, ...passed } : data)
    }
  return {
    debug: limited(log.debug),
    info: limited(log.info),
    warn: limited(log.warn),
    error: log.error,
    child: (room) => limitLog(log.child(room), limit, now),
  }
}
