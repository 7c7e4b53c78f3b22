/**
 * Death at every await: wraps what a service talks to, counts each call twice (before its effect and after
 * it, when the answer is lost), and dies at the point it is told to. After that nothing has any effect: what
 * goes on is a new service on what the store holds.
 */

export class Crash extends Error {}

export class Faults {
  /** Every point passed, in order: `send:before`. */
  readonly points: string[] = []
  readonly #dieAt: number
  #isDead = false

  /** @param dieAt the point's place in `points`; beyond all of them nothing happens */
  constructor(dieAt: number = Number.POSITIVE_INFINITY) {
    this.#dieAt = dieAt
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** The same object, whose named asynchronous methods may be its last. */
  wrap<T extends object>(target: T, names: readonly (keyof T & string)[]): T {
    return new Proxy(target, {
      get: (real, name) => {
        const value = real[name as keyof T] as unknown
        if (typeof value !== 'function') return value
        if (!names.includes(name as keyof T & string)) return value.bind(real)
        return async (...args: unknown[]) => {
          this.#pass(`${String(name)}:before`)
          const result = await value.apply(real, args)
          this.#pass(`${String(name)}:after`)
          return result
        }
      },
    })
  }

  #pass(point: string): void {
    if (!this.#isDead && this.points.length === this.#dieAt) this.#isDead = true
    this.points.push(point)
    if (this.#isDead) throw new Crash(point)
  }
}
