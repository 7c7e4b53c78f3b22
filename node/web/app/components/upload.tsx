/** Dropping a file into a Datanet: read here row by row, faults shown by row, then committed and revealed by the wallet. */
import { useRef, useState } from 'preact/hooks'
import { MEDIA_TYPES, typeOfName } from '../../../datanet/media.ts'
import { decodeSchema } from '../../../datanet/schema.ts'
import { type DatanetView, publishVersion } from '../lib/datanet.ts'
import { bytes, counted, integer, messageOf } from '../lib/format.ts'
import { useQuery } from '../lib/hooks.ts'
import type { FileRead } from '../lib/read-file.ts'
import { toast } from '../lib/toast.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { ActionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'
import { Icon } from './icon.tsx'
import { Card, Progress } from './layout.tsx'
import { Notice } from './state.tsx'
import { Table } from './table.tsx'

type Reading =
  | { readonly kind: 'none' }
  | { readonly kind: 'reading'; readonly name: string; readonly part: number }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'read'; readonly name: string; readonly found: FileRead }

export function Upload({ datanet, onDone }: { datanet: DatanetView; onDone: () => void }) {
  const wallet = useWallet()
  const [reading, setReading] = useState<Reading>({ kind: 'none' })
  const id = BigInt(datanet.id)
  const pending = useQuery(wallet && `pending ${datanet.id} ${wallet.address}`, async () =>
    (await import('../lib/contribute.ts')).pendingOf(id, wallet?.address ?? '0x'),
  )
  if (!wallet) return <NeedsWallet to="give rows: they are paid to your account" />
  const waiting = pending.data ?? []
  const send = async (stage: (text: string) => void): Promise<void> => {
    const { goOn, keep } = await import('../lib/contribute.ts')
    if (reading.kind === 'read' && waiting.length === 0)
      await keep(reading.found.shards, { datanetId: id, contributor: wallet.address })
    try {
      const count = await goOn(id, wallet.address, stage)
      toast('good', `${count} ${count === 1 ? 'contribution is' : 'contributions are'} yours`)
      setReading({ kind: 'none' })
      onDone()
    } finally {
      pending.reload()
    }
  }
  const drop = async (): Promise<void> => {
    const { forget } = await import('../lib/contribute.ts')
    for (const one of waiting) await forget(one)
    pending.reload()
  }
  return (
    <div class="stack">
      {waiting.length > 0 ? (
        <Notice tone="warn">
          <div class="stack">
            <p>
              {integer(waiting.reduce((sum, { contribution }) => sum + contribution.rowCount, 0))}{' '}
              rows wait in this browser for their commitment or their reveal.
            </p>
            <div class="button-row">
              <ActionButton run={send}>Go on</ActionButton>
              <button type="button" class="button quiet" onClick={drop}>
                Drop them
              </button>
            </div>
          </div>
        </Notice>
      ) : null}
      <DropZone datanet={datanet} reading={reading} onReading={setReading} />
      {reading.kind === 'read' ? <Found name={reading.name} found={reading.found} /> : null}
      {reading.kind === 'read' && reading.found.rows > 0 && waiting.length === 0 ? (
        <ActionButton run={send}>{`Contribute ${integer(reading.found.rows)} rows`}</ActionButton>
      ) : null}
    </div>
  )
}

function DropZone({
  datanet,
  reading,
  onReading,
}: {
  datanet: DatanetView
  reading: Reading
  onReading: (next: Reading) => void
}) {
  const input = useRef<HTMLInputElement>(null)
  const [over, setOver] = useState(false)
  const schema = decodeSchema(datanet.schema)
  const take = async (files: readonly File[]): Promise<void> => {
    const [file] = files
    if (!file) return
    const { FILE_BYTES_MAX, formatOf, readFile, readMediaFiles } = await import(
      '../lib/read-file.ts'
    )
    const reading = { schema, limits: datanet.limits }
    const refuse = (why: string): void => onReading({ kind: 'refused', why })
    if (files.length > 1 || typeOfName(file.name)) {
      const name = files.length > 1 ? `${files.length} files` : file.name
      const found = await readMediaFiles(files, reading, (part) =>
        onReading({ kind: 'reading', name, part }),
      )
      return onReading({ kind: 'read', name, found })
    }
    const format = formatOf(file.name)
    if (!format)
      return refuse(
        `'${file.name}' is no file this page reads: .jsonl, .csv, .txt and .md are. Parquet goes by 'openledger datanet contribute'.`,
      )
    if (file.size > FILE_BYTES_MAX)
      return refuse(
        `'${file.name}' has ${bytes(file.size)}; this page reads ${bytes(FILE_BYTES_MAX)}. Larger ones go by 'openledger datanet contribute'.`,
      )
    onReading({ kind: 'reading', name: file.name, part: 0 })
    try {
      const found = await readFile(file, { format, ...reading }, (part) =>
        onReading({ kind: 'reading', name: file.name, part }),
      )
      onReading({ kind: 'read', name: file.name, found })
    } catch (error) {
      refuse(`'${file.name}' cannot be read: ${messageOf(error)}`)
    }
  }
  return (
    <div class="stack">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a place to drop on; the button in it does the same */}
      <div
        class={`drop-zone${over ? ' over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault()
          setOver(false)
          void take([...(event.dataTransfer?.files ?? [])])
        }}
      >
        <Icon name="inbox" size={28} />
        <p>
          {schema.media
            ? 'Drop a file of rows, or pictures and sounds, here'
            : 'Drop a file of rows here'}
        </p>
        <p class="hint">
          JSONL: a row such as {'{"text":"…"}'} a line. CSV: a column text. Text: a row a paragraph.
          {schema.media
            ? ' Pictures and sounds: all at once, each with its caption in a text file of its name (a.png, a.txt).'
            : ''}
        </p>
        <button type="button" class="button quiet" onClick={() => input.current?.click()}>
          Choose a file
        </button>
        <input
          ref={input}
          type="file"
          class="visually-hidden"
          aria-label="File of rows"
          accept={`.jsonl,.ndjson,.csv,.txt,.md${schema.media ? `,${MEDIA_TYPES.join()}` : ''}`}
          multiple={schema.media !== undefined}
          tabIndex={-1}
          onChange={({ currentTarget }) => {
            void take([...(currentTarget.files ?? [])])
            currentTarget.value = ''
          }}
        />
      </div>
      {reading.kind === 'reading' ? (
        <Progress part={reading.part} label={`Reading ${reading.name}`} />
      ) : null}
      {reading.kind === 'refused' ? <Notice tone="bad">{reading.why}</Notice> : null}
    </div>
  )
}

function Found({ name, found }: { name: string; found: FileRead }) {
  const { rows, faults, listed, sample, shards } = found
  return (
    <>
      <Card
        title={name}
        more={`${counted(rows, 'good row')}, ${bytes(found.bytes)}, ${counted(shards.length, 'contribution')}`}
      >
        {rows === 0 ? (
          <p>No row of it can be contributed.</p>
        ) : (
          <ul class="stack">
            {sample.map((text, i) => (
              <li key={i} class="row-text">
                {text}
              </li>
            ))}
          </ul>
        )}
      </Card>
      {faults > 0 ? (
        <Card
          title={`${integer(faults)} ${faults === 1 ? 'row is' : 'rows are'} left out`}
          more={listed.length < faults ? `the first ${listed.length}` : undefined}
          flush
        >
          <Table
            caption="Rows with faults"
            rows={listed}
            rowKey={({ row }) => row}
            columns={[
              { head: 'Row', cell: ({ row }) => <span class="num">Row {integer(row)}</span> },
              { head: 'What is wrong', cell: ({ reason }) => reason },
            ]}
          />
        </Card>
      ) : null}
    </>
  )
}

/** For the owner. */
export function Publish({ datanet, onDone }: { datanet: DatanetView; onDone: () => void }) {
  const wallet = useWallet()
  if (wallet?.address !== datanet.owner) return null
  const run = async (stage: (text: string) => void): Promise<void> => {
    const hash = await publishVersion(datanet, stage)
    toast('good', `Version ${datanet.versionCount + 1} is published`, `/tx/${hash}`)
    onDone()
  }
  return (
    <ActionButton run={run} primary={false}>
      Publish a version
    </ActionButton>
  )
}
