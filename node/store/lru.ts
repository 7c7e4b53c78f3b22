/**
 * A map that forgets what was used longest ago once it holds `max` entries, or entries that weigh more than
 * `weightMax` together (the newest stays whatever it weighs). The caller names the limits; content-addressed values (trie nodes, code, recovered senders) need no other invalidation.
 */
type Weights<V> = { readonly weightMax: number; weigh(value: V): number }

export class LruMap<K, V> {
  readonly #max: number
  readonly #weights: Weights<V> | null
  readonly #entries = new Map<K, V>()
  #weight = 0

  constructor(max: number, weights: Weights<V> | null = null) {
    if (!Number.isInteger(max) || max < 1) throw new RangeError(`LRU of ${max} entries`)
    this.#max = max
    this.#weights = weights
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, value)
    }
    return value
  }

  set(key: K, value: V): void {
    this.#drop(key)
    this.#entries.set(key, value)
    this.#weight += this.#weights?.weigh(value) ?? 0
    const weightMax = this.#weights?.weightMax ?? 0
    for (const oldest of this.#entries.keys()) {
      const { size } = this.#entries
      if (size <= this.#max && (size === 1 || this.#weight <= weightMax)) break
      this.#drop(oldest)
    }
  }

  #drop(key: K): void {
    const value = this.#entries.get(key)
    if (value === undefined) return
    this.#entries.delete(key)
    this.#weight -= this.#weights?.weigh(value) ?? 0
  }
}
