/**
 * Structured logs: a lower-case event and its data, `log.info('block sealed', {number, hash})`, with
 * a child per room. Data may hold bigints. Nothing a peer can make noisy goes above debug; never a
 * secret.
 *
 * Two guards hold for every line. The secrets named at the start are cut out wherever they appear. And
 * an event that repeats (a loop gone wild: an infinite log once filled disks for two days,
 * ethereum-optimism/optimism#10923) is written at most `REPEATS_MAX` times in a window, then counted:
 * the next line of that event says how many were left out.
 */
import pino from 'pino'
import { userError } from './errors.ts'

export type LogData = Readonly<Record<string, unknown>>
export interface Log {
  debug(event: string, data?: LogData): void
  info(event: string, data?: LogData): void
  warn(event: string, data?: LogData): void
  error(event: string, data?: LogData): void
  child(room: string): Log
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type LogFormat = 'auto' | 'human' | 'json'

/** The log, and what an operator may change while it runs. */
export type LogControl = {
  readonly log: Log
  /** Every room's, or one room's. @throws NodeError `options` */
  setLevel(level: string, room?: string): void
  levels(): Readonly<Record<string, LogLevel>>
  /** After the file was moved away by logrotate. */
  reopen(): void
}

export type LogOptions = {
  readonly level: LogLevel
  /** `room=level` */
  readonly levels?: readonly string[]
  readonly format?: LogFormat
  /** A file instead of stderr. */
  readonly path?: string
  /** Texts that never appear. */
  readonly secrets?: readonly string[]
  /** Milliseconds; for the window of repeated lines. */
  readonly now?: () => number
  /** Takes the lines instead of stderr; for tests. */
  readonly write?: (line: string) => void
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']
/** Of one event in one room, in one window. A healthy node's busiest event is one a block. */
const REPEATS_MAX = 100
const WINDOW_MS = 10_000
/** Events remembered at once; more than the code has. */
const EVENTS_MAX = 4_096
/** A secret shorter than this would cut ordinary text. */
const SECRET_LENGTH_MIN = 6
const DEFAULT = '*'

/** To stderr, or to a file. @throws NodeError `options` for a level that is none */
export function openLog(options: LogOptions): LogControl {
  const { level, path, now = () => performance.now() } = options
  const file = options.write
    ? null
    : pino.destination({ dest: path ?? 2, sync: true, mkdir: true, append: true })
  // A log that cannot be written (a full disk) is no reason to fall.
  file?.on('error', () => {})
  const write = options.write ?? ((line: string) => void file?.write(line))
  const hide = hider(options.secrets ?? [])
  const isHuman =
    options.format === 'human' ||
    ((options.format ?? 'auto') === 'auto' && !path && !options.write && !!process.stderr.isTTY)
  const isColoured = isHuman && !path && !options.write && !process.env.NO_COLOR
  const stream = {
    write: (line: string) => write(hide(isHuman ? humanLine(line, isColoured) : line)),
  }
  // Levels are ours (they change while children live); pino writes whatever it gets.
  const root = pino(
    { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    stream,
  )
  const levels = new Map<string, LogLevel>([[DEFAULT, level], ...levelsOf(options.levels ?? [])])
  const repeats = new Repeats(now)
  const loggerOf = (logger: pino.Logger, room: string): Log => {
    const emit = (at: Exclude<LogLevel, 'silent'>) => (event: string, data?: LogData) => {
      const least = levels.get(room) ?? (levels.get(DEFAULT) as LogLevel)
      if (LEVELS.indexOf(at) < LEVELS.indexOf(least)) return
      const pass = repeats.pass(`${room}\0${at}\0${event}`)
      if (pass === null) return
      const fields = plain(data)
      if (pass > 0) fields.suppressed = pass
      logger[at](fields, event)
    }
    return {
      debug: emit('debug'),
      info: emit('info'),
      warn: emit('warn'),
      error: emit('error'),
      child: (name) => loggerOf(logger.child({ room: name }), name),
    }
  }
  return {
    log: loggerOf(root, ''),
    setLevel: (text, room = DEFAULT) => {
      const [[name, wanted]] = levelsOf([`${room}=${text}`]) as [[string, LogLevel]]
      if (name === DEFAULT) levels.clear()
      levels.set(name, wanted)
    },
    levels: () => Object.fromEntries(levels),
    reopen: () => {
      if (path) file?.reopen()
    },
  }
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

/** @throws NodeError `options` for an entry that is not `room=level`. */
export function levelsOf(entries: readonly string[]): [room: string, level: LogLevel][] {
  return entries.map((entry) => {
    const [room, level, ...rest] = entry.split('=')
    if (room && LEVELS.includes(level as LogLevel) && rest.length === 0) {
      return [room, level as LogLevel]
    }
    throw userError(
      'options',
      `log level '${entry}' is not room=level with a level of ${LEVELS.join(', ')}`,
    )
  })
}

/** Counts lines of each event in windows of `WINDOW_MS`. */
class Repeats {
  readonly #now: () => number
  readonly #seen = new Map<string, { since: number; count: number; left: number }>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** How many were left out before this line; null when this one is left out as well. */
  pass(event: string): number | null {
    const now = this.#now()
    const entry = this.#seen.get(event)
    if (!entry || now - entry.since >= WINDOW_MS) {
      if (!entry && this.#seen.size >= EVENTS_MAX) this.#seen.clear()
      this.#seen.set(event, { since: now, count: 1, left: 0 })
      return entry?.left ?? 0
    }
    if (++entry.count <= REPEATS_MAX) return 0
    entry.left++
    return null
  }
}

/** A function that cuts out every secret, in either spelling of its hex. */
function hider(secrets: readonly string[]): (line: string) => string {
  const known = secrets
    .flatMap((secret) => [secret, secret.replace(/^0x/, '')])
    .filter((secret) => secret.length >= SECRET_LENGTH_MIN)
  if (known.length === 0) return (line) => line
  const quoted = known.map((secret) => secret.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(quoted.join('|'), 'gi')
  return (line) => line.replace(pattern, '(secret)')
}

const COLOURS = { debug: '2', info: '32', warn: '33', error: '31' } as const
const NAMES: Readonly<Record<number, keyof typeof COLOURS>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
}

/** `12:04:05.123 INFO  sequencer  block sealed  number=4 hash=0x12…` */
function humanLine(line: string, isColoured: boolean): string {
  const { level, time, room = 'node', msg, ...data } = JSON.parse(line) as Record<string, unknown>
  const name = NAMES[level as number] ?? 'info'
  const word = name.toUpperCase().padEnd(5)
  const fields = Object.entries(data).map(([key, value]) => `${key}=${shown(value)}`)
  const head = `${String(time).slice(11, 23)} ${isColoured ? `\x1b[${COLOURS[name]}m${word}\x1b[0m` : word}`
  return `${[`${head} ${String(room).padEnd(9)} ${msg}`, ...fields].join(' ')}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value
  return JSON.stringify(value)
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
