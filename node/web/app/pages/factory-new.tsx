/** /factory/new: a training: what from, what on, how; what it will take; start. */
import { useState } from 'preact/hooks'
import { CheckboxField, Choice, SelectField, TextField } from '../components/field.tsx'
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Amount } from '../components/value.tsx'
import type { DatanetView } from '../lib/datanet.ts'
import { type Problems, useForm, wrongWhole } from '../lib/form.ts'
import { bytes, duration, integer, messageOf } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { type Draft, submit } from '../lib/job.ts'
import { navigate } from '../lib/router.ts'
import { call } from '../lib/rpc.ts'
import { toast } from '../lib/toast.ts'
import { ActionButton } from '../wallet/transaction.tsx'

type ModelLine = { readonly id: string; readonly name: string }
type Form = {
  readonly name: string
  readonly parent: string
  readonly datanets: readonly string[]
  readonly rank: string
  readonly epochs: string
  readonly batch: string
  readonly learningRate: string
  readonly contributors: string
}

const START: Form = {
  name: '',
  parent: '',
  datanets: [],
  rank: '8',
  epochs: '2',
  batch: '16',
  learningRate: '0.002',
  contributors: '50',
}

/** What each setting may be, and what it does. */
const SETTINGS = {
  rank: ['Rank', 1, 64, 'How much the adapter can learn. 8 is good for most; more is slower.'],
  epochs: ['Epochs', 1, 100, 'Times through all rows. More learns rows by heart.'],
  batch: ['Batch', 1, 256, 'Rows of one step. Smaller: more, noisier steps.'],
  contributors: [
    'For contributors',
    0,
    100,
    'Least part of each fee, in percent. Licences may ask for more.',
  ],
} as const

type Numeric = keyof typeof SETTINGS

function problemsOf(form: Form): Problems<Form> {
  const found: Problems<Form> = {}
  if (!/^[\w][\w .-]{0,63}$/.test(form.name))
    found.name = 'A name of 1 to 64 letters, digits, dots, dashes or spaces.'
  if (form.datanets.length === 0) found.datanets = 'Choose at least one Datanet.'
  for (const [key, [, least, most]] of Object.entries(SETTINGS)) {
    const wrong = wrongWhole(form[key as Numeric], least, most)
    if (wrong) found[key as Numeric] = wrong
  }
  const rate = Number(form.learningRate)
  if (!(rate > 0 && rate <= 1))
    found.learningRate = `'${form.learningRate}' must be a number above 0, at most 1.`
  return found
}

const draftOf = (form: Form): Promise<Draft> =>
  call<Draft>('openledger_draftJob', {
    name: form.name,
    datanets: form.datanets.map((datanet) => ({ datanet })),
    ...(form.parent && { parents: [{ model: form.parent }] }),
    lora: { rank: Number(form.rank), alpha: 2 * Number(form.rank) },
    training: {
      epochs: Number(form.epochs),
      batch: Number(form.batch),
      learningRate: Number(form.learningRate),
    },
    contributorsPart: Number(form.contributors) * 100,
  })

export default function NewTraining() {
  const { form, problems, field, change, check } = useForm(START, problemsOf)
  const [draft, setDraft] = useState<{ of: string; draft: Draft } | null>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const current = JSON.stringify(form)
  const estimated = draft?.of === current ? draft.draft : null
  const estimate = async (): Promise<void> => {
    setProblem(null)
    if (check()) return
    setBusy(true)
    try {
      setDraft({ of: current, draft: await draftOf(form) })
    } catch (error) {
      setProblem(messageOf(error))
    } finally {
      setBusy(false)
    }
  }
  const start = async (stage: (text: string) => void): Promise<void> => {
    if (!estimated) throw new Error('The form has changed: estimate it again.')
    const id = await submit(estimated, stage)
    toast('good', `${form.name} is on the queue`)
    navigate(`/job/${id}`)
  }
  return (
    <Page
      title="Train a model"
      lead="Choose what it learns from. Everything else has a good value already."
      crumb={{ href: '/factory', text: 'ModelFactory' }}
    >
      <div class="columns">
        <Card title="What">
          <div class="form">
            <TextField label="Name" {...field('name')} />
            <Base {...field('parent')} />
            <Datanets
              chosen={form.datanets}
              onChosen={(datanets) => change({ datanets })}
              error={problems.datanets}
            />
          </div>
        </Card>
        <Card title="How" more="defaults are good to start with">
          <div class="form">
            {(Object.keys(SETTINGS) as Numeric[]).map((key) => (
              <TextField
                key={key}
                label={SETTINGS[key][0]}
                {...field(key)}
                hint={SETTINGS[key][3]}
                inputMode="numeric"
                {...(key === 'contributors' && { suffix: '%' })}
              />
            ))}
            <TextField
              label="Learning rate"
              {...field('learningRate')}
              hint="Length of a step, at its peak. Too high and the loss jumps; too low and nothing is learnt."
              inputMode="decimal"
            />
          </div>
        </Card>
        <Card title="What it takes">
          <div class="form">
            {estimated ? (
              <Takes draft={estimated} />
            ) : (
              <p class="muted">
                {draft
                  ? 'The form has changed since the last estimate.'
                  : 'Measured on this node with some of your rows; takes some seconds.'}
              </p>
            )}
            {problem ? <Notice tone="bad">{problem}</Notice> : null}
            <div class="button-row">
              <button
                type="button"
                class={`button ${estimated ? 'quiet' : 'primary'}`}
                disabled={busy}
                aria-busy={busy}
                onClick={estimate}
              >
                {busy ? <span class="spinner" aria-hidden="true" /> : null}
                {busy ? 'Estimating…' : 'Estimate'}
              </button>
              {estimated ? <ActionButton run={start}>Pay and start</ActionButton> : null}
            </div>
          </div>
        </Card>
      </div>
    </Page>
  )
}

function Takes({ draft: { estimate } }: { draft: Draft }) {
  const { seconds, cpuSeconds, steps, trainTokens, fee, memoryBytes, chain } = estimate
  return (
    <Facts>
      <Fact label="Fee">
        <Amount wei={fee} />
      </Fact>
      {chain ? (
        <Fact label="Gas of the commitment">
          <Amount wei={chain.submit.wei} /> at most
        </Fact>
      ) : null}
      <Fact label="Time">
        {duration(seconds.total * 1000)}, {duration(cpuSeconds * 1000)} of processor
      </Fact>
      <Fact label="of it training">
        {duration(seconds.train * 1000)}, {integer(steps)} steps, {integer(trainTokens)} tokens
      </Fact>
      <Fact label="attribution index">{duration(seconds.index * 1000)}</Fact>
      <Fact label="evaluation">{duration(seconds.evaluate * 1000)}</Fact>
      <Fact label="Memory">
        {memoryBytes === null
          ? 'not measured'
          : `${bytes(memoryBytes)}, of the node while it trains`}
      </Fact>
    </Facts>
  )
}

function Base({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  const info = useCall<{ baseModel: { name: string } }>('openledger_nodeInfo')
  const models = useCall<ModelLine[]>('openledger_listModels')
  return (
    <SelectField
      label="Start from"
      value={value}
      onValue={onValue}
      hint="A model that is trained further pays royalties to its parent's owner."
      options={[
        { value: '', text: `the base model${info.data ? `, ${info.data.baseModel.name}` : ''}` },
        ...(models.data ?? []).map(({ id, name }) => ({ value: id, text: name })),
      ]}
    />
  )
}

function Datanets({
  chosen,
  onChosen,
  error,
}: {
  chosen: readonly string[]
  onChosen: (ids: string[]) => void
  error: string | undefined
}) {
  const list = useCall<DatanetView[]>('openledger_listDatanets')
  return (
    <CheckboxField label="Datanets, newest version of each" error={error}>
      <Show
        of={list}
        rows={3}
        what="Datanets"
        empty={
          <Empty title="There is no Datanet">
            <a href="/datanets/new">Create one</a> first.
          </Empty>
        }
      >
        {(rows) => (
          <div class="checkboxes">
            {rows.map(({ id, name, versionCount }) => (
              <Choice
                key={id}
                name={id}
                chosen={chosen}
                onChosen={onChosen}
                disabled={versionCount === 0}
              >
                {name}
                {versionCount === 0 ? <span class="muted">no version</span> : null}
              </Choice>
            ))}
          </div>
        )}
      </Show>
    </CheckboxField>
  )
}
