/** /model/:id: the card of a published model: what it is, what it learnt from, how well, what it costs. */
import { useState } from 'preact/hooks'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { ModelRegistry } from '../../../../genesis/contracts.generated.ts'
import { TextField } from '../components/field.tsx'
import { LossChart } from '../components/jobs.tsx'
import { Card, Fact, Facts, Page, Stat, Stats } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Address, Age, Amount, Hash } from '../components/value.tsx'
import { integer, parseOpen, percent } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import type { Job } from '../lib/job.ts'
import type { Hex } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'
import { TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

type Model = {
  readonly id: Hex
  readonly name: string
  readonly owner: Hex
  readonly registeredAt: string
  readonly baseHash: Hex
  readonly adapterHash: Hex
  readonly manifestHash: Hex
  readonly corpusHash: Hex
  readonly datanetIds: readonly string[]
  readonly versions: readonly number[]
  readonly rateIn: string
  readonly rateOut: string
}

export default function ModelPage({ params }: PageProps) {
  const { id = '' } = params
  const valid = /^0x[0-9a-f]{64}$/.test(id)
  const model = useCall<Model | null>('openledger_getModel', valid ? [id] : null, 'block')
  const name = model.data?.name
  return (
    <Page
      title={name ?? 'Model'}
      lead={<span class="mono wrap">{id}</span>}
      crumb={{ href: '/factory', text: 'ModelFactory' }}
      actions={
        name ? (
          <a class="button primary" href={`/playground?models=${encodeURIComponent(name)}`}>
            Ask it
          </a>
        ) : undefined
      }
    >
      {valid ? (
        <Show of={model} rows={8} what="model" empty={<Empty title="No such model" />}>
          {(data) => <CardOf model={data} onDone={model.reload} />}
        </Show>
      ) : (
        <Empty title="That is no model's id">0x and 64 digits.</Empty>
      )}
    </Page>
  )
}

function CardOf({ model, onDone }: { model: Model; onDone: () => void }) {
  const wallet = useWallet()
  const job = useCall<Job | null>('openledger_getJob', [model.manifestHash])
  const evaluation = job.data?.result?.evaluation
  const gain = evaluation && (evaluation.baseLoss - evaluation.loss) / evaluation.baseLoss
  return (
    <>
      <Stats>
        <Stat label="A token in">
          <Amount wei={model.rateIn} />
        </Stat>
        <Stat label="A token out">
          <Amount wei={model.rateOut} />
        </Stat>
        <Stat
          label="Held-out loss"
          note={
            evaluation
              ? `${integer(evaluation.rows)} rows it never saw; the base has ${evaluation.baseLoss.toFixed(3)}`
              : 'not measured here'
          }
        >
          {evaluation?.loss.toFixed(3) ?? '–'}
        </Stat>
        <Stat label="Better than its base" note="part of the loss that went">
          {gain === undefined || gain === null ? '–' : percent(gain)}
        </Stat>
      </Stats>
      <div class="columns">
        <Card title="What it is">
          <Facts>
            <Fact label="Owner">
              <Address value={model.owner} />
            </Fact>
            <Fact label="Registered">
              <Age at={Number(model.registeredAt)} />
            </Fact>
            <Fact label="Learnt from">
              {model.datanetIds.map((datanet, i) => (
                <a key={datanet} href={`/datanet/${datanet}?version=${model.versions[i]}`}>
                  Datanet {datanet}, version {model.versions[i]}{' '}
                </a>
              ))}
            </Fact>
            <Fact label="Base">
              <Hash value={model.baseHash} kind="plain" copy />
            </Fact>
            <Fact label="Adapter">
              <Hash value={model.adapterHash} kind="plain" copy />
            </Fact>
            <Fact label="Manifest">
              <a href={`/job/${model.manifestHash}`} class="mono">
                {model.manifestHash.slice(0, 10)}…
              </a>
            </Fact>
            <Fact label="Pays for quotes">
              {/^0x0+$/.test(model.corpusHash) ? 'no' : 'yes: rows it quotes are named and paid'}
            </Fact>
          </Facts>
        </Card>
        <Card title="Use it">
          <p class="hint">
            From Python, as a LoRA adapter with its card, by the Hugging Face tools:
          </p>
          <pre class="snippet">
            {`HF_ENDPOINT=${location.origin}\nhf download openledger/${model.name}`}
          </pre>
          <p class="hint">Over HTTP, as OpenAI's API:</p>
          <pre class="snippet">
            {`curl ${location.origin}/v1/completions \\\n  -H 'content-type: application/json' \\\n  -d '{"model":"${model.name}","prompt":"…"}'`}
          </pre>
        </Card>
        {job.data ? (
          <Card title="How it learnt" more="mean loss per token, nats">
            <LossChart jobs={[job.data]} />
          </Card>
        ) : null}
        {wallet?.address === model.owner.toLowerCase() ? (
          <Price model={model} onDone={onDone} />
        ) : null}
      </div>
    </>
  )
}

const wrongPrice = (text: string): string | null =>
  text === '' || parseOpen(text) !== null ? null : `'${text}' is no amount of OPEN.`

function Price({ model, onDone }: { model: Model; onDone: () => void }) {
  const [rateIn, setIn] = useState('')
  const [rateOut, setOut] = useState('')
  return (
    <Card title="Its price" more="you own it">
      <div class="form">
        <TextField
          label="A token in"
          value={rateIn}
          onValue={setIn}
          suffix="OPEN"
          inputMode="decimal"
          placeholder="0.00001"
          error={wrongPrice(rateIn)}
        />
        <TextField
          label="A token out"
          value={rateOut}
          onValue={setOut}
          suffix="OPEN"
          inputMode="decimal"
          placeholder="0.00003"
          error={wrongPrice(rateOut)}
        />
        <TransactionButton
          onDone={onDone}
          call={() => {
            const rates = [parseOpen(rateIn), parseOpen(rateOut)]
            if (rates.includes(null)) throw new Error('Both prices must be amounts of OPEN.')
            return {
              address: OPENLEDGER.modelRegistry,
              abi: ModelRegistry.abi,
              functionName: 'setRates',
              args: [model.id, ...rates],
            }
          }}
        >
          Set the price
        </TransactionButton>
      </div>
    </Card>
  )
}
