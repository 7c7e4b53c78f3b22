/**
 * What can be asked for by name, and how a text is counted: the registered models, and the tokenizer of the resident base.
 * Every node has it, a provider or not.
 */
import type { ModelLibrary } from './library.ts'
import type { ModelRecord, Registry } from './registry.ts'

export class Catalogue {
  readonly library: ModelLibrary
  readonly #registry: Registry

  constructor(modules: { library: ModelLibrary; registry: Registry }) {
    this.library = modules.library
    this.#registry = modules.registry
  }

  models(): Promise<readonly ModelRecord[]> {
    return this.#registry.models()
  }

  /** A registered model by name or id; `base:name` names the one called `name`. */
  async find(name: string): Promise<ModelRecord | null> {
    const found = await this.#registry.find(name)
    const prefix = `${this.library.base.name}:`
    if (found || !name.startsWith(prefix)) return found
    return this.#registry.find(name.slice(prefix.length))
  }

  /** Whether the resident base is the model's. */
  holds(record: ModelRecord): boolean {
    return record.baseHash === this.library.base.hash
  }

  /** Token ids of a prompt by the base's committed tokenizer: what is counted, charged and committed. */
  promptIds(prompt: string | readonly number[]): readonly number[] {
    return typeof prompt === 'string' ? [...this.library.base.model.encode(prompt)] : prompt
  }
}
