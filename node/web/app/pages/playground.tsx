/** /playground: ask one model or several side by side, and see whose data shaped each answer. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { SelectField, TextArea, TextField } from '../components/field.tsx'
import { Card, Page } from '../components/layout.tsx'
import { ReplyCard } from '../components/reply.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Amount } from '../components/value.tsx'
import { ask, type Message } from '../lib/chat.ts'
import { fieldsOf, type Problems, wrongWhole } from '../lib/form.ts'
import { messageOf } from '../lib/format.ts'
import { useQuery } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'
import { keepTurns, loadTurns, type Reply, type Turn } from '../lib/turns.ts'
import './playground.css'

type ModelLine = {
  readonly id: string
  readonly owned_by: string
  readonly root: string
  readonly price: { readonly input: string; readonly output: string }
}

const MODELS_AT_ONCE_MAX = 4
const PROMPT_CHARACTERS_MAX = 8_000

async function listModels(): Promise<readonly ModelLine[]> {
  const response = await fetch('/v1/models')
  if (!response.ok) throw new Error('This node serves no models: ask one that does.')
  return ((await response.json()) as { data: ModelLine[] }).data
}

export default function Playground() {
  const models = useQuery('models', listModels, 10_000)
  return (
    <Page
      title="Playground"
      lead="Ask a model, or several side by side. Each answer is coloured by whose data shaped it, and each of them is paid for it."
    >
      <Show
        of={models}
        rows={4}
        what="models"
        empty={
          <Card>
            <Empty title="No model is registered yet" icon="models">
              <a href="/factory">Train one</a> on a Datanet first.
            </Empty>
          </Card>
        }
      >
        {(list) => <Chat models={list} />}
      </Show>
    </Page>
  )
}

type Settings = {
  readonly mode: string
  readonly maxTokens: string
  readonly temperature: string
  readonly memory: string
  readonly rowsRead: string
}

const SETTINGS: Settings = {
  mode: 'chat',
  maxTokens: '64',
  temperature: '0',
  memory: 'none',
  rowsRead: '0',
}

function problemsOf({ maxTokens, temperature }: Settings): Problems<Settings> {
  const wrong = wrongWhole(maxTokens, 1, 4096)
  const heat = Number(temperature)
  return {
    ...(wrong && { maxTokens: wrong }),
    ...(temperature.trim() !== '' && heat >= 0 && heat <= 10
      ? {}
      : { temperature: `'${temperature}' must be a number from 0 to 10.` }),
  }
}

function Chat({ models }: { models: readonly ModelLine[] }) {
  const place = usePlace()
  const wanted = (place.query.get('models') ?? '').split(',').filter(Boolean)
  const known = wanted
    .filter((id) => models.some((model) => model.id === id))
    .slice(-MODELS_AT_ONCE_MAX)
  const chosen = known.length > 0 ? known : [(models.at(-1) as ModelLine).id]
  const [turns, setTurns] = useState<readonly Turn[]>(loadTurns)
  const [settings, setSettings] = useState(SETTINGS)
  const abort = useRef<AbortController | null>(null)
  const [busy, setBusy] = useState(false)
  // Not for each token of an answer: once it is asked, whole, or failed.
  const ended = turns.flatMap(({ replies }) => replies).filter((one) => one.answered || one.error)
  useEffect(() => keepTurns(turns), [turns.length, ended.length])
  useEffect(() => () => abort.current?.abort(), [])

  const change = (id: string, model: string, next: Partial<Reply>): void =>
    setTurns((old) =>
      old.map((turn) =>
        turn.id === id
          ? {
              ...turn,
              replies: turn.replies.map((one) => (one.model === model ? { ...one, ...next } : one)),
            }
          : turn,
      ),
    )
  const send = async (prompt: string): Promise<void> => {
    const id = crypto.randomUUID()
    const earlier = turns
    setTurns([...turns, { id, prompt, replies: chosen.map((model) => ({ model, text: '' })) }])
    setBusy(true)
    const controller = new AbortController()
    abort.current = controller
    const one = async (model: string): Promise<void> => {
      try {
        const answered = await ask(
          {
            model,
            messages:
              settings.mode === 'text'
                ? prompt
                : conversation(settings.memory === 'all' ? earlier : [], model, prompt),
            maxTokens: Number(settings.maxTokens),
            temperature: Number(settings.temperature),
            rowsRead: Number(settings.rowsRead),
          },
          (text) => change(id, model, { text }),
          controller.signal,
        )
        change(id, model, { text: answered.text, answered })
      } catch (error) {
        const stopped = controller.signal.aborted
        change(id, model, { error: stopped ? 'Stopped.' : messageOf(error) })
      }
    }
    await Promise.all(chosen.map(one))
    setBusy(false)
  }
  const toggle = (id: string): void => {
    const next = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]
    setQuery('models', next.length === 0 ? null : next.slice(-MODELS_AT_ONCE_MAX).join(','))
  }
  return (
    <div class="playground">
      <Card title="Models" more={`up to ${MODELS_AT_ONCE_MAX} side by side`}>
        <fieldset class="model-choices">
          <legend class="visually-hidden">Models that answer</legend>
          {models.map((model) => (
            <div key={model.root} class="model-choice">
              <label>
                <input
                  type="checkbox"
                  checked={chosen.includes(model.id)}
                  onChange={() => toggle(model.id)}
                />
                <span>
                  <strong>{model.id}</strong>
                  <span class="small muted">
                    <Amount wei={model.price.output} /> a token
                  </span>
                </span>
              </label>
              <a class="small" href={`/model/${model.root}`} aria-label={`card of ${model.id}`}>
                card
              </a>
            </div>
          ))}
        </fieldset>
        <SettingsForm value={settings} onValue={setSettings} />
      </Card>
      {turns.length === 0 ? (
        <Empty title="Nothing asked yet" icon="chat">
          Hover or focus coloured words to see the row they came from, and what it was paid.
        </Empty>
      ) : (
        <ol class="turns">
          {turns.map(({ id, prompt, replies }) => (
            <li key={id} class="turn">
              <p class="prompt">{prompt}</p>
              <div class="replies">
                {replies.map((reply) => (
                  <ReplyCard key={reply.model} reply={reply} />
                ))}
              </div>
            </li>
          ))}
        </ol>
      )}
      <Ask
        busy={busy}
        problem={Object.values(problemsOf(settings))[0] ?? null}
        mode={settings.mode}
        onSend={send}
        onStop={() => abort.current?.abort()}
        onClear={turns.length > 0 ? () => setTurns([]) : undefined}
      />
    </div>
  )
}

function conversation(turns: readonly Turn[], model: string, prompt: string): Message[] {
  const earlier = turns.flatMap((turn): Message[] => {
    const text = turn.replies.find((one) => one.model === model)?.answered?.text
    if (text === undefined) return []
    return [
      { role: 'user', content: turn.prompt },
      { role: 'assistant', content: text },
    ]
  })
  return [...earlier, { role: 'user', content: prompt }]
}

function SettingsForm({ value, onValue }: { value: Settings; onValue: (next: Settings) => void }) {
  const field = fieldsOf(value, (part) => onValue({ ...value, ...part }), problemsOf(value))
  return (
    <details class="settings">
      <summary>Settings</summary>
      <div class="settings-grid">
        <SelectField
          label="Form"
          {...field('mode')}
          hint="A model trained on prose goes on with a text better than it chats."
          options={[
            { value: 'chat', text: 'Chat' },
            { value: 'text', text: 'Continue the text' },
          ]}
        />
        <SelectField
          label="Memory"
          {...field('memory')}
          hint="Earlier turns are paid for again, as tokens in."
          options={[
            { value: 'none', text: 'This question alone' },
            { value: 'all', text: 'With the turns before' },
          ]}
        />
        <SelectField
          label="Rows to read first"
          {...field('rowsRead')}
          hint="Rows that your question finds stand in the prompt: their tokens are paid, their owners too. Pictures and sounds are found so."
          options={[
            { value: '0', text: 'None' },
            { value: '2', text: 'Up to 2' },
            { value: '4', text: 'Up to 4' },
            { value: '8', text: 'Up to 8' },
          ]}
        />
        <TextField
          label="Most tokens"
          {...field('maxTokens')}
          inputMode="numeric"
          hint="You pay for those that come."
        />
        <TextField
          label="Temperature"
          {...field('temperature')}
          inputMode="decimal"
          hint="0: always the likeliest word."
        />
      </div>
    </details>
  )
}

function Ask({
  busy,
  problem,
  mode,
  onSend,
  onStop,
  onClear,
}: {
  busy: boolean
  problem: string | null
  mode: string
  onSend: (prompt: string) => Promise<void>
  onStop: () => void
  onClear: (() => void) | undefined
}) {
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState<string | null>(null)
  const submit = (): void => {
    if (busy) return
    const fault =
      problem ??
      (text.trim() === ''
        ? 'Write something to ask.'
        : text.length > PROMPT_CHARACTERS_MAX
          ? `${text.length} characters; at most ${PROMPT_CHARACTERS_MAX}.`
          : null)
    setWrong(fault)
    if (fault) return
    setText('')
    void onSend(text)
  }
  return (
    <form
      class="ask"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
        event.preventDefault()
        submit()
      }}
    >
      <TextArea
        label={mode === 'text' ? 'Text to continue' : 'Your question'}
        rows={2}
        value={text}
        onValue={(next) => {
          setText(next)
          setWrong(null)
        }}
        error={wrong}
        hint="Enter asks, Shift+Enter makes a new line."
      />
      <div class="button-row">
        {busy ? (
          <button type="button" class="button quiet" onClick={onStop}>
            Stop
          </button>
        ) : (
          <button type="submit" class="button primary">
            Ask
          </button>
        )}
        {onClear && !busy ? (
          <button type="button" class="button quiet" onClick={onClear}>
            Clear
          </button>
        ) : null}
      </div>
    </form>
  )
}
