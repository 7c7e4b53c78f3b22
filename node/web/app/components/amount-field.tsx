/** An amount of OPEN: what was typed, whether it is one, whether there is enough, and a way to take all. */
import { useState } from 'preact/hooks'
import { exactOpen, open, parseOpen } from '../lib/format.ts'
import { TextField } from './field.tsx'

export type AmountInput = {
  readonly text: string
  readonly setText: (text: string) => void
  /** wei; null when it is none. */
  readonly wei: bigint | null
  readonly problem: string | null
  readonly valid: boolean
  readonly available: bigint | undefined
  /** wei. @throws Error saying what is wrong */
  checked(): bigint
}

/** `available`: wei there is to take from; undefined while unknown. */
export function useAmount(available: bigint | undefined): AmountInput {
  const [text, setText] = useState('')
  const wei = parseOpen(text)
  const problem = text === '' ? null : problemOf(text, wei, available)
  return {
    text,
    setText,
    wei,
    problem,
    valid: text !== '' && problem === null,
    available,
    checked: () => {
      if (wei === null || problem !== null) throw new Error(problem ?? 'Type an amount of OPEN.')
      return wei
    },
  }
}

function problemOf(text: string, wei: bigint | null, available: bigint | undefined): string | null {
  if (wei === null)
    return `'${text}' is no amount: digits, and at most 18 after the point, such as 12.5.`
  if (wei === 0n) return 'The amount is zero.'
  if (available !== undefined && wei > available)
    return `More than there is: ${exactOpen(available)} OPEN.`
  return null
}

export function AmountField({
  label,
  amount,
  where,
}: {
  label: string
  amount: AmountInput
  /** Where the available amount is: "on L1". */
  where: string
}) {
  const { text, setText, problem, available } = amount
  return (
    <TextField
      label={label}
      value={text}
      onValue={setText}
      error={problem}
      inputMode="decimal"
      placeholder="0.0"
      suffix="OPEN"
      hint={
        available === undefined ? (
          `Reading what you have ${where}…`
        ) : (
          <span title={`${exactOpen(available)} OPEN`}>
            You have {open(available)} OPEN {where}.
          </span>
        )
      }
      action={
        <button
          type="button"
          class="button quiet tiny"
          disabled={!available}
          onClick={() => available && setText(exactOpen(available).replaceAll(',', ''))}
        >
          All
        </button>
      }
    />
  )
}
