/** A key for an agent: until when, what it may call, how much it may spend at a time and in a period, what waits. */
import { useState } from 'preact/hooks'
import { type Account, accountAt, CALLS, OPEN_ASSET } from '../lib/agent-account.ts'
import { type Problems, useForm, wrongWhole } from '../lib/form.ts'
import { exactOpen, parseOpen } from '../lib/format.ts'
import type { Hex } from '../lib/types.ts'
import type { ContractCall } from '../wallet/send.ts'
import { ActionButton } from '../wallet/transaction.tsx'
import { CheckboxField, Choice, TextField } from './field.tsx'
import { Card } from './layout.tsx'
import { Notice } from './state.tsx'

type Form = {
  readonly key: string
  readonly days: string
  readonly calls: readonly string[]
  readonly actionMax: string
  readonly periodMax: string
  readonly periodHours: string
  readonly delayAbove: string
  readonly delayHours: string
}

const START: Form = {
  key: '',
  days: '30',
  calls: [],
  actionMax: '0.1',
  periodMax: '1',
  periodHours: '24',
  delayAbove: '0.1',
  delayHours: '1',
}

const DAY_SECONDS = 86_400
const HOUR_SECONDS = 3_600

function problemsOf(form: Form): Problems<Form> {
  const found: Problems<Form> = {}
  const number = (name: 'days' | 'periodHours' | 'delayHours', least: number, most: number) => {
    const wrong = wrongWhole(form[name], least, most)
    if (wrong) found[name] = wrong
  }
  const amount = (name: 'actionMax' | 'periodMax' | 'delayAbove'): bigint => {
    const wei = parseOpen(form[name])
    if (wei === null) found[name] = `'${form[name]}' is no amount of OPEN, such as 0.5.`
    return wei ?? 0n
  }
  if (!/^0x[0-9a-fA-F]{40}$/.test(form.key))
    found.key = `'${form.key}' is no address: 0x and 40 hex digits.`
  if (form.calls.length === 0)
    found.calls = 'Choose at least one: a key that may call nothing is of no use.'
  number('days', 1, 3_650)
  number('periodHours', 1, 8_760)
  number('delayHours', 0, 8_760)
  const [action, period, delay] = [amount('actionMax'), amount('periodMax'), amount('delayAbove')]
  if (!found.periodMax && action > period)
    found.periodMax = `Less than at a time (${exactOpen(action)} OPEN): no period could hold it.`
  if (!found.delayAbove && delay > action)
    found.delayAbove = `More than at a time (${exactOpen(action)} OPEN): nothing would ever wait. The same means no delay.`
  return found
}

export function NewKey({ account, onDone }: { account: Account; onDone: () => void }) {
  const { form, problems, field, change, check } = useForm(START, problemsOf)
  const [done, setDone] = useState<Hex | null>(null)
  const set = async (stage: (text: string) => void): Promise<void> => {
    setDone(null)
    const first = check()
    if (first) throw new Error(`Something is not right yet: ${first}`)
    const calls = callsOf(form, account.address)
    const { waitFor, writeContract } = await import('../wallet/send.ts')
    for (const [i, call] of calls.entries()) {
      stage(`Signature ${i + 1} of ${calls.length}…`)
      await waitFor(await writeContract(call))
    }
    setDone(form.key as Hex)
    onDone()
  }
  return (
    <Card
      title="Give or renew a key"
      more="what an earlier key of this address was allowed is gone"
    >
      <div class="columns">
        <div class="form">
          <TextField label="Address of the key" {...field('key')} placeholder="0x…" />
          <TextField label="Ends in" {...field('days')} inputMode="numeric" suffix="days" />
          <CheckboxField label="It may" error={problems.calls}>
            <div class="checkboxes">
              {CALLS.map(({ text }) => (
                <Choice
                  key={text}
                  name={text}
                  chosen={form.calls}
                  onChosen={(calls) => change({ calls })}
                >
                  {text}
                </Choice>
              ))}
            </div>
          </CheckboxField>
        </div>
        <div class="form">
          <TextField label="At a time" {...field('actionMax')} inputMode="decimal" suffix="OPEN" />
          <TextField
            label="In a period"
            {...field('periodMax')}
            inputMode="decimal"
            suffix="OPEN"
          />
          <TextField
            label="A period is"
            {...field('periodHours')}
            inputMode="numeric"
            suffix="hours"
          />
          <TextField
            label="What is above waits"
            {...field('delayAbove')}
            inputMode="decimal"
            suffix="OPEN"
            hint="You can cancel it while it waits."
          />
          <TextField label="How long" {...field('delayHours')} inputMode="numeric" suffix="hours" />
        </div>
      </div>
      <ActionButton run={set}>Set the key</ActionButton>
      {done ? (
        <Notice tone="good">
          <span class="mono">{done}</span> may now spend within these limits.
        </Notice>
      ) : null}
    </Card>
  )
}

/** The key is set first, so what it may do starts from nothing; caps before calls, so it never may without a limit. */
function callsOf(form: Form, account: Hex): ContractCall[] {
  const contract = accountAt(account)
  const wei = (text: string): bigint => parseOpen(text) ?? 0n
  const until = BigInt(Math.floor(Date.now() / 1000) + Number(form.days) * DAY_SECONDS)
  const { key } = form
  return [
    {
      ...contract,
      functionName: 'setKey',
      args: [key, until, BigInt(Number(form.delayHours) * HOUR_SECONDS)],
    },
    {
      ...contract,
      functionName: 'setCap',
      args: [
        key,
        OPEN_ASSET,
        wei(form.actionMax),
        wei(form.periodMax),
        BigInt(Number(form.periodHours) * HOUR_SECONDS),
        wei(form.delayAbove),
      ],
    },
    ...CALLS.filter(({ text }) => form.calls.includes(text)).map(({ target, selector }) => ({
      ...contract,
      functionName: 'allow',
      args: [key, target, selector, true],
    })),
  ]
}
