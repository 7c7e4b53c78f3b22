/** Forms of texts: what each field shows and takes, and what is wrong once somebody has tried to send it. */
import { useState } from 'preact/hooks'

export type Problems<F> = Partial<Record<keyof F, string>>
type TextOf<F> = { [K in keyof F]: F[K] extends string ? K : never }[keyof F]
export type Field = {
  readonly value: string
  readonly onValue: (value: string) => void
  readonly error: string | undefined
}

/** `fields('name')` is what a TextField, TextArea or SelectField of `name` takes. */
export const fieldsOf =
  <F>(form: F, change: (part: Partial<F>) => void, problems: Problems<F>) =>
  (key: TextOf<F>): Field => ({
    value: form[key] as string,
    onValue: (value) => change({ [key]: value } as Partial<F>),
    error: problems[key],
  })

export function useForm<F>(
  start: F,
  problemsOf: (form: F) => Problems<F>,
): {
  readonly form: F
  /** Those to be shown: none before the first `check`. */
  readonly problems: Problems<F>
  readonly field: (key: TextOf<F>) => Field
  change(part: Partial<F>): void
  /** The first thing that is wrong, or null. From now on all of them are shown. */
  check(): string | null
} {
  const [form, setForm] = useState(start)
  const [shown, show] = useState(false)
  const all = problemsOf(form)
  const problems = shown ? all : {}
  const change = (part: Partial<F>): void => setForm((old) => ({ ...old, ...part }))
  const check = (): string | null => {
    show(true)
    return Object.values<string | undefined>(all)[0] ?? null
  }
  return { form, problems, field: fieldsOf(form, change, problems), change, check }
}

/** What is wrong with a whole number from `least` to `most`; null when nothing is. */
export const wrongWhole = (text: string, least: number, most: number): string | null =>
  /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most
    ? null
    : `'${text}' must be a whole number from ${least} to ${most}.`
