/** Form fields: a label, the control, a hint, and what is wrong with it, tied together for those who hear the form. */
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

type Common = {
  label: string
  hint?: ComponentChildren
  /** What is wrong and how to mend it. */
  error?: string | null | undefined
}

function Frame({
  id,
  label,
  hint,
  error,
  children,
}: Common & { id: string; children: ComponentChildren }) {
  return (
    <div class={`field${error ? ' wrong' : ''}`}>
      <label for={id}>{label}</label>
      {children}
      {hint ? (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      ) : null}
      {error ? (
        <p class="field-error" id={`${id}-error`} role="alert">
          {error}
        </p>
      ) : null}
    </div>
  )
}

const aria = (id: string, { hint, error }: Common) => ({
  id,
  'aria-invalid': error ? true : undefined,
  'aria-describedby':
    [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined,
})

/** A labelled group of checkboxes. */
export function CheckboxField({
  label,
  hint,
  error,
  children,
}: Common & { children: ComponentChildren }) {
  return (
    <fieldset class={`field${error ? ' wrong' : ''}`}>
      <legend class="small">{label}</legend>
      {children}
      {hint ? <p class="hint">{hint}</p> : null}
      {error ? (
        <p class="field-error" role="alert">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

/** One of several: `chosen` with it or without it. */
export function Choice({
  name,
  chosen,
  onChosen,
  title,
  disabled,
  children,
}: {
  name: string
  chosen: readonly string[]
  onChosen: (names: string[]) => void
  title?: string | undefined
  disabled?: boolean
  children: ComponentChildren
}) {
  return (
    <label title={title}>
      <input
        type="checkbox"
        disabled={disabled}
        checked={chosen.includes(name)}
        onChange={({ currentTarget }) =>
          onChosen(currentTarget.checked ? [...chosen, name] : chosen.filter((one) => one !== name))
        }
      />
      {children}
    </label>
  )
}

/** What else a field may say to the browser. */
type Attributes = {
  name?: string
  placeholder?: string
  maxLength?: number
  required?: boolean
  disabled?: boolean
  onBlur?: () => void
}

export function TextField({
  label,
  hint,
  error,
  value,
  onValue,
  suffix,
  action,
  inputMode = 'text',
  ...rest
}: Common &
  Attributes & {
    value: string
    onValue: (value: string) => void
    /** A unit after the value. */
    suffix?: string
    /** A button in the field, such as "max". */
    action?: ComponentChildren
    inputMode?: 'text' | 'decimal' | 'numeric' | 'url'
  }) {
  const id = useId()
  const common = { label, hint, error }
  return (
    <Frame id={id} {...common}>
      <div class="input">
        <input
          type="text"
          autocomplete="off"
          spellcheck={false}
          inputMode={inputMode}
          {...rest}
          {...aria(id, common)}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
        {suffix ? <span class="suffix">{suffix}</span> : null}
        {action}
      </div>
    </Frame>
  )
}

export function TextArea({
  label,
  hint,
  error,
  value,
  onValue,
  rows = 4,
  ...rest
}: Common & Attributes & { value: string; onValue: (value: string) => void; rows?: number }) {
  const id = useId()
  const common = { label, hint, error }
  return (
    <Frame id={id} {...common}>
      <textarea
        rows={rows}
        {...rest}
        {...aria(id, common)}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </Frame>
  )
}

export function SelectField({
  label,
  hint,
  error,
  value,
  onValue,
  options,
}: Common & {
  value: string
  onValue: (value: string) => void
  options: readonly { readonly value: string; readonly text: string }[]
}) {
  const id = useId()
  const common = { label, hint, error }
  return (
    <Frame id={id} {...common}>
      <select
        {...aria(id, common)}
        value={value}
        onChange={(event) => onValue(event.currentTarget.value)}
      >
        {options.map(({ value: option, text }) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </Frame>
  )
}
