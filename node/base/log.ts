/**
 * Structured logs: a lower-case event and its data, `log.info('block sealed', {number, hash})`, with
 * a child per room. Data may hold bigints. Nothing a peer can make noisy goes above debug; never a
 * secret.
 */
import pino from 'pino'

export type LogData = Readonly<Record<string, unknown>>
export interface Log {
  debug(event: string, data?: LogData): void
  info(event: string, data?: LogData): void
  warn(event: string, data?: LogData): void
  error(event: string, data?: LogData): void
  child(room: string): Log
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** JSON lines to stderr (or to `path`), one object an event. */
export function createLog(options: { level: LogLevel; path?: string }): Log {
  const destination = pino.destination({ dest: options.path ?? 2, sync: true, mkdir: true })
  return wrap(pino({ level: options.level, base: null }, destination))
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child() {
    return silentLog
  },
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (event, data) => logger.debug(plain(data), event),
    info: (event, data) => logger.info(plain(data), event),
    warn: (event, data) => logger.warn(plain(data), event),
    error: (event, data) => logger.error(plain(data), event),
    child: (room) => wrap(logger.child({ room })),
  }
}

function plain(data: LogData = {}): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(data)) {
    if (typeof value === 'bigint') out[key] = value.toString()
    else if (value instanceof Error) out[key] = value.message
    else out[key] = value
  }
  return out
}
