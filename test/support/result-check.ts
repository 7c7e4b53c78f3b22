/**
 * Whether a node answers what its own method table says: every result against the schema of its method. Strict, so a
 * schema with a keyword misspelt fails too.
 */
import { Ajv2019, type ValidateFunction } from 'ajv/dist/2019.js'

export type Described = Readonly<
  Record<string, { readonly result: object; readonly params?: readonly { schema: object }[] }>
>

const SHOWN_CHARACTERS_MAX = 300

export class ResultCheck {
  /** Methods that have answered with a result. */
  readonly seen: Set<string> = new Set()
  readonly #ajv = new Ajv2019({ allErrors: false, allowUnionTypes: true, strictTypes: false })
  readonly #methods: Described
  readonly #compiled = new Map<string, ValidateFunction>()

  constructor(methods: Described) {
    this.#methods = methods
  }

  /** Of what `rpc.discover` answers. */
  static ofDocument(document: {
    readonly methods: readonly { name: string; result: { schema: object } }[]
  }): ResultCheck {
    return new ResultCheck(
      Object.fromEntries(
        document.methods.map(({ name, result }) => [name, { result: result.schema }]),
      ),
    )
  }

  /** null when the result is as described. */
  fault(method: string, result: unknown): string | null {
    const described = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined
    if (!described) return `${method} is described nowhere`
    this.seen.add(method)
    const validate = this.#compiled.get(method) ?? this.#ajv.compile(described.result)
    this.#compiled.set(method, validate)
    if (validate(result)) return null
    const [error] = validate.errors ?? []
    const shown = JSON.stringify(result).slice(0, SHOWN_CHARACTERS_MAX)
    return `${method} answers what its schema does not allow: ${error?.instancePath || 'the result'} ${error?.message} ${JSON.stringify(error?.params)}: ${shown}`
  }

  /** For request and answer as they went over the wire, one or a batch. @throws Error on the first fault */
  assertExchange(request: unknown, answer: unknown): void {
    const requests = list(request)
    for (const { id, result } of list(answer)) {
      const asked = requests.filter((one) => one.id === id)
      const method = asked.length === 1 ? asked[0]?.method : undefined
      if (result === undefined || typeof method !== 'string') continue
      const fault = this.fault(method, result)
      if (fault) throw new Error(fault)
    }
  }
}

type Wire = { readonly id?: unknown; readonly method?: unknown; readonly result?: unknown }

function list(value: unknown): Wire[] {
  const all = Array.isArray(value) ? value : [value]
  return all.filter((one): one is Wire => typeof one === 'object' && one !== null)
}
