/** /agents/new: an identity for an agent, with its registration file on chain: prompt, model, steps, policy. */
import { CheckboxField, Choice, SelectField, TextArea, TextField } from '../components/field.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import {
  cardOf,
  encodeCard,
  IDENTITY,
  type Program,
  registeredId,
  registration,
} from '../lib/agent.ts'
import { utf8 } from '../lib/bytes.ts'
import { type Problems, useForm, wrongWhole } from '../lib/form.ts'
import { integer, parseOpen } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { navigate } from '../lib/router.ts'
import { toast } from '../lib/toast.ts'
import type { Hex } from '../lib/types.ts'
import { ActionButton } from '../wallet/transaction.tsx'

type ModelLine = { readonly id: Hex; readonly name: string }

type Form = {
  readonly name: string
  readonly description: string
  readonly prompt: string
  readonly model: string
  readonly tools: readonly string[]
  readonly maxTokens: string
  readonly feeMax: string
}

const START: Form = {
  name: '',
  description: '',
  prompt: '',
  model: '',
  tools: [],
  maxTokens: '64',
  feeMax: '0.01',
}

const NAME_CHARACTERS_MAX = 64
const DESCRIPTION_CHARACTERS_MAX = 400
/** Below what nodes read: the whole file is stored on chain and every byte is paid for. */
const PROMPT_CHARACTERS_MAX = 4_096
const CARD_BYTES_MAX = 16_384

function problemsOf(form: Form): Problems<Form> {
  const found: Problems<Form> = {}
  if (form.name.trim() === '') found.name = 'An agent needs a name.'
  if (form.description.trim() === '') found.description = 'Say in a sentence what it does.'
  const tokens = wrongWhole(form.maxTokens, 1, 4_096)
  if (tokens) found.maxTokens = tokens
  if (form.feeMax !== '' && parseOpen(form.feeMax) === null)
    found.feeMax = `'${form.feeMax}' is no amount: digits, and at most 18 after the point, such as 0.01.`
  const size = utf8(encodeCard(cardOf(form, programOf(form, '')))).length
  if (size > CARD_BYTES_MAX)
    found.prompt = `The registration file has ${integer(size)} bytes; at most ${integer(CARD_BYTES_MAX)}.`
  return found
}

function programOf(form: Form, model: string): Program {
  const feeMax = form.feeMax === '' ? null : parseOpen(form.feeMax)
  return {
    prompt: form.prompt.trim(),
    model,
    steps: [
      ...(form.tools.includes('search_datanets') ? [{ tool: 'search_datanets' } as const] : []),
      { tool: 'model' },
    ],
    policy: {
      maxTokens: Number(form.maxTokens),
      temperature: 0,
      ...(feeMax !== null && { feeMax: feeMax.toString() }),
    },
  }
}

export default function NewAgent() {
  const models = useCall<ModelLine[]>('openledger_listModels', [], 10_000)
  return (
    <Page
      title="Register an agent"
      lead="You own it and may sell it. Its registration file lies on chain, so any node can run it; whatever its answers earn is paid to its wallet, which is yours until you name another."
      crumb={{ href: '/agents', text: 'Agents' }}
    >
      <Show
        of={models}
        rows={6}
        what="models"
        empty={
          <Empty title="No model is registered yet" icon="models">
            An agent thinks with a model: <a href="/factory/new">train one</a> first.
          </Empty>
        }
      >
        {(list) => <RegisterForm models={list} />}
      </Show>
    </Page>
  )
}

function RegisterForm({ models }: { models: readonly ModelLine[] }) {
  const { form, field, change, check } = useForm(START, problemsOf)
  const model = models.find(({ id }) => id === form.model) ?? models[0]
  const register = async (stage: (text: string) => void): Promise<void> => {
    const first = check()
    if (first) throw new Error(`Something is not right yet: ${first}`)
    if (!model) throw new Error('Choose a model.')
    const named = { name: form.name.trim(), description: form.description.trim() }
    const card = cardOf(named, programOf(form, model.name))
    const { waitFor, writeContract } = await import('../wallet/send.ts')
    stage('Waiting for the signature…')
    const hash = await writeContract({
      ...IDENTITY,
      functionName: 'register',
      args: registration(card, model.id),
    })
    stage('On its way…')
    const { logs } = await waitFor(hash)
    const id = registeredId(logs)
    toast('good', `Agent ${id} is registered`, `/tx/${hash}`)
    navigate(`/agent/${id}?tab=account`)
  }
  return (
    <>
      <div class="columns">
        <Card title="Who it is">
          <div class="form">
            <TextField label="Name" {...field('name')} maxLength={NAME_CHARACTERS_MAX} />
            <TextArea
              label="What it does"
              {...field('description')}
              rows={2}
              maxLength={DESCRIPTION_CHARACTERS_MAX}
              hint="Shown to people and to other agents."
            />
          </div>
        </Card>
        <Card title="What it runs">
          <div class="form">
            <SelectField
              label="Model"
              {...field('model')}
              value={model?.id ?? ''}
              options={models.map(({ id, name }) => ({ value: id, text: name }))}
            />
            <TextArea
              label="Prompt"
              {...field('prompt')}
              rows={3}
              maxLength={PROMPT_CHARACTERS_MAX}
              hint="Goes before every question. May be empty."
            />
            <CheckboxField label="Before it answers">
              <div class="checkboxes">
                <Choice
                  name="search_datanets"
                  chosen={form.tools}
                  onChosen={(tools) => change({ tools })}
                >
                  search the Datanets for the question’s words
                </Choice>
              </div>
            </CheckboxField>
          </div>
        </Card>
        <Card title="Limits of a run">
          <div class="form">
            <TextField
              label="Answer"
              {...field('maxTokens')}
              inputMode="numeric"
              suffix="tokens at most"
            />
            <TextField
              label="Fees"
              {...field('feeMax')}
              inputMode="decimal"
              suffix="OPEN at most"
              hint="A run that could cost more is refused before it begins. Empty: no limit."
            />
          </div>
        </Card>
      </div>
      <ActionButton run={register}>Register</ActionButton>
    </>
  )
}
