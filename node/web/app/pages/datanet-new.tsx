/** /datanets/new: a Datanet with its schema, licence, limits and validators. */
import type { ComponentProps } from 'preact'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { DatanetRegistry } from '../../../../genesis/contracts.generated.ts'
import { PERMISSIONS, PURPOSES } from '../../../datanet/licence.ts'
import { decodeSchema } from '../../../datanet/schema.ts'
import { CheckboxField, Choice, SelectField, TextArea, TextField } from '../components/field.tsx'
import { Card, Page } from '../components/layout.tsx'
import { utf8, ZERO_ADDRESS, ZERO_HASH } from '../lib/bytes.ts'
import { type Problems, useForm, wrongWhole } from '../lib/form.ts'
import { messageOf } from '../lib/format.ts'
import { navigate } from '../lib/router.ts'
import { toast } from '../lib/toast.ts'
import type { Hex } from '../lib/types.ts'
import { ActionButton } from '../wallet/transaction.tsx'

type Form = {
  readonly name: string
  readonly schema: string
  readonly permissions: readonly string[]
  readonly purposes: readonly string[]
  readonly contributorsMin: string
  readonly expires: string
  readonly rowsMax: string
  readonly rowBytesMax: string
  readonly validators: string
  readonly threshold: string
  readonly scoreMin: string
  readonly windowSeconds: string
}

const START: Form = {
  name: '',
  schema: '{"text":"string"}',
  permissions: ['train', 'retrieve', 'commercial', 'derivatives'],
  purposes: [],
  contributorsMin: '50',
  expires: '',
  rowsMax: '10000',
  rowBytesMax: '65536',
  validators: '',
  threshold: '0',
  scoreMin: '50',
  windowSeconds: '86400',
}

const NAME_BYTES_MAX = 64
const SCHEMA_BYTES_MAX = 4_096
const VALIDATORS_MAX = 32

const WHAT: Readonly<Record<string, string>> = {
  train: 'train models on the rows',
  retrieve: 'show rows in answers',
  commercial: 'ask a price',
  derivatives: 'train on what was trained',
  redistribute: 'give the rows away',
  unattributed: 'use them without naming who gave them',
  relicense: 'put other terms on what is made',
}

/** In small letters: the contract wants them in the order of their numbers, which only then is that of the texts. */
const listed = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .sort()

function problemsOf(form: Form): Problems<Form> {
  const found: Problems<Form> = {}
  const number = (key: keyof Form, least: number, most: number): void => {
    const wrong = wrongWhole(form[key] as string, least, most)
    if (wrong) found[key] = wrong
  }
  if (form.name.trim() === '') found.name = 'A Datanet needs a name.'
  else if (utf8(form.name).length > NAME_BYTES_MAX)
    found.name = `${utf8(form.name).length} bytes; at most ${NAME_BYTES_MAX}.`
  try {
    decodeSchema(form.schema)
    if (utf8(form.schema).length > SCHEMA_BYTES_MAX)
      found.schema = `${utf8(form.schema).length} bytes; at most ${SCHEMA_BYTES_MAX}.`
  } catch (error) {
    found.schema = `${messageOf(error)}. Example: {"text":"string","meta":{"year":"number?"}}`
  }
  if (form.permissions.length === 0)
    found.permissions = 'Allow at least one thing, or nobody can use the rows.'
  number('contributorsMin', 0, 100)
  number('rowsMax', 1, 100_000)
  number('rowBytesMax', 1, 65_536)
  const validators = listed(form.validators)
  const wrong = validators.find((one) => !/^0x[0-9a-f]{40}$/.test(one))
  const twice = validators.find((one, i) => one === validators[i + 1])
  if (wrong) found.validators = `'${wrong}' is no address: 0x and 40 hex digits.`
  else if (twice) found.validators = `${twice} is there twice.`
  else if (validators.length > VALIDATORS_MAX)
    found.validators = `${validators.length} validators; at most ${VALIDATORS_MAX}.`
  number('threshold', 0, validators.length)
  number('scoreMin', 0, 100)
  number('windowSeconds', 1, 604_800)
  if (form.expires !== '' && !(Date.parse(form.expires) > Date.now()))
    found.expires = `'${form.expires}' is no day to come: write it as 2030-12-31.`
  return found
}

const bits = (names: readonly string[], table: Readonly<Record<string, number>>): number =>
  names.reduce((sum, name) => sum | (table[name] ?? 0), 0)

function paramsOf(form: Form): object {
  const seconds = form.threshold === '0' ? 0 : Number(form.windowSeconds)
  return {
    name: form.name.trim(),
    schema: form.schema,
    licence: {
      permissions: bits(form.permissions, PERMISSIONS),
      purposes: bits(form.purposes, PURPOSES),
      contributorsMin: Number(form.contributorsMin) * 100,
      expiresAt: form.expires === '' ? 0n : BigInt(Math.floor(Date.parse(form.expires) / 1000)),
      textHash: ZERO_HASH,
      bases: [],
    },
    treasury: ZERO_ADDRESS,
    limits: {
      rowsMax: Number(form.rowsMax),
      rowBytesMax: Number(form.rowBytesMax),
      rowsPerDayMax: 0,
      bytesPerDayMax: 0n,
    },
    quorum: {
      validators: listed(form.validators),
      threshold: Number(form.threshold),
      scoreMin: Number(form.scoreMin) * 100,
      commitSeconds: seconds,
      revealSeconds: seconds,
      stakeMin: 0n,
    },
    payer: 0,
    relayFee: 0n,
  }
}

export default function NewDatanet() {
  const { form, problems, field, change, check } = useForm(START, problemsOf)
  const judges = listed(form.validators).length
  const create = async (stage: (text: string) => void): Promise<void> => {
    const first = check()
    if (first) throw new Error(`Something is not right yet: ${first}`)
    const { waitFor, writeContract } = await import('../wallet/send.ts')
    stage('Waiting for the signature…')
    const hash = await writeContract({
      address: OPENLEDGER.datanetRegistry,
      abi: DatanetRegistry.abi,
      functionName: 'create',
      args: [paramsOf(form)],
    })
    stage('On its way…')
    const { logs } = await waitFor(hash)
    const id = BigInt(logs[0]?.topics[1] as Hex)
    toast('good', `Datanet ${id} is created`, `/tx/${hash}`)
    navigate(`/datanet/${id}?tab=upload`)
  }
  return (
    <Page
      title="Create a Datanet"
      lead="You own it: you set the terms and publish versions. The rows stay with whoever gives them."
      crumb={{ href: '/datanets', text: 'Datanets' }}
    >
      <div class="columns">
        <Card title="What it is">
          <div class="form">
            <TextField label="Name" {...field('name')} hint={`At most ${NAME_BYTES_MAX} bytes.`} />
            <TextArea
              label="Schema"
              {...field('schema')}
              rows={3}
              hint='What every row looks like. A type is "string", "number" or "boolean"; with ? it may be absent.'
            />
            <TextField
              label="Rows of one contribution"
              {...field('rowsMax')}
              inputMode="numeric"
              suffix="rows at most"
            />
            <TextField
              label="Size of one row"
              {...field('rowBytesMax')}
              inputMode="numeric"
              suffix="bytes at most"
            />
          </div>
        </Card>
        <Card title="Licence" more="checked by machine before each training">
          <div class="form">
            <Choices
              label="Whoever uses the rows may"
              names={Object.keys(PERMISSIONS)}
              chosen={form.permissions}
              onChosen={(permissions) => change({ permissions })}
              error={problems.permissions}
            />
            <Choices
              label="Only for these purposes"
              hint="None chosen: for anything."
              names={Object.keys(PURPOSES)}
              chosen={form.purposes}
              onChosen={(purposes) => change({ purposes })}
            />
            <TextField
              label="Part of each fee for contributors"
              {...field('contributorsMin')}
              inputMode="numeric"
              suffix="% at least"
            />
            <TextField
              label="Ends on"
              {...field('expires')}
              placeholder="never"
              hint="A day such as 2030-12-31; empty: never."
            />
          </div>
        </Card>
        <Card title="Validators" more="who judge contributions">
          <div class="form">
            <TextArea
              label="Accounts"
              {...field('validators')}
              rows={2}
              hint="Addresses, one a line. None: everything is accepted."
            />
            <SelectField
              label="Scores needed"
              {...field('threshold')}
              options={Array.from({ length: judges + 1 }, (_, i) => ({
                value: String(i),
                text: i === 0 ? 'none' : `${i} of ${judges}`,
              }))}
            />
            {form.threshold === '0' ? null : (
              <>
                <TextField
                  label="Least median score"
                  {...field('scoreMin')}
                  inputMode="numeric"
                  suffix="of 100"
                />
                <TextField
                  label="Time to vote, and again to reveal"
                  {...field('windowSeconds')}
                  inputMode="numeric"
                  suffix="s"
                />
              </>
            )}
          </div>
        </Card>
      </div>
      <ActionButton run={create}>Create</ActionButton>
    </Page>
  )
}

function Choices({
  names,
  chosen,
  onChosen,
  ...rest
}: Omit<ComponentProps<typeof CheckboxField>, 'children'> & {
  names: readonly string[]
  chosen: readonly string[]
  onChosen: (names: string[]) => void
}) {
  return (
    <CheckboxField {...rest}>
      <div class="checkboxes">
        {names.map((name) => (
          <Choice key={name} name={name} title={WHAT[name]} chosen={chosen} onChosen={onChosen}>
            {WHAT[name] ?? name}
          </Choice>
        ))}
      </div>
    </CheckboxField>
  )
}
