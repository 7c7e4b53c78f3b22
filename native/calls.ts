/** How the door calls the addon: loaded once, every failure a `NativeError`, jobs with events and cancellation. */
import type { Binding, RawCancel } from './binding.ts'
import { loadBinding } from './binding.ts'
import { asNativeError, NativeError } from './errors.ts'

let loaded: Binding | undefined

export function binding(): Binding {
  loaded ??= loadBinding()
  return loaded
}

/** Runs a call that answers at once. */
export function now<T>(call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw asNativeError(cause)
  }
}

/** Awaits a job. */
export async function later<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw asNativeError(cause)
  }
}

/** A job without events that `signal` can stop. */
export function stoppable<T>(
  signal: AbortSignal | undefined,
  run: (cancel: RawCancel) => Promise<T>,
): Promise<T> {
  return withEvents(undefined, signal, run, () => 0)
}

/**
 * Runs a job that sends events: cancels it when `signal` aborts, and settles only after every event it
 * sent has been delivered. A callback that throws cancels the job and becomes its error.
 */
export async function withEvents<E, T>(
  onEvent: ((event: E) => void) | undefined,
  signal: AbortSignal | undefined,
  run: (cancel: RawCancel, emit: ((event: E) => void) | null) => Promise<T>,
  sent: (result: T) => number,
): Promise<T> {
  if (signal?.aborted) throw new NativeError('NATIVE_CANCELLED', 'cancelled before it began')
  const cancel = new (binding().CancelHandle)()
  let delivered = 0
  let failure: { cause: unknown } | undefined
  let wake: (() => void) | undefined
  const emit = (event: E): void => {
    delivered += 1
    try {
      if (failure === undefined) onEvent?.(event)
    } catch (cause) {
      failure = { cause }
      cancel.cancel()
    }
    wake?.()
  }
  const stop = (): void => cancel.cancel()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const result = await later(() => run(cancel, onEvent === undefined ? null : emit))
    while (delivered < sent(result)) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    if (failure !== undefined) throw failure.cause
    return result
  } catch (cause) {
    if (failure !== undefined) throw failure.cause
    throw cause
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
