/** The queue of contributions and, for validators, the steps of a judgement: commit a score, reveal it, conclude. */
import { useState } from 'preact/hooks'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { DatanetValidation } from '../../../../genesis/contracts.generated.ts'
import { toHex } from '../lib/bytes.ts'
import { type ContributionView, type DatanetView, rowsOfContribution } from '../lib/datanet.ts'
import { wrongWhole } from '../lib/form.ts'
import { age, bytes, integer } from '../lib/format.ts'
import { type Loaded, useNow, useQuery } from '../lib/hooks.ts'
import type { Hex } from '../lib/types.ts'
import { ActionButton, TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'
import { TextField } from './field.tsx'
import { Card } from './layout.tsx'
import { RowShown } from './media.tsx'
import { Empty, Show } from './state.tsx'
import { Table } from './table.tsx'
import { Address, Age, Badge, Hash } from './value.tsx'

const CONTRACT = { address: OPENLEDGER.datanetValidation, abi: DatanetValidation.abi }

export function Queue({ datanet, of }: { datanet: DatanetView; of: Loaded<ContributionView[]> }) {
  const wallet = useWallet()
  const quorum = datanet.quorum
  const judged = (quorum?.threshold ?? 0) > 0
  const isValidator = quorum?.validators.some((one) => one.toLowerCase() === wallet?.address)
  return (
    <div class="stack">
      <Card
        title="Contributions"
        more={judged ? `${quorum?.threshold} scores needed` : 'accepted as they come'}
        flush
      >
        <Show
          of={of}
          rows={4}
          what="contributions"
          empty={<Empty title="Nothing contributed yet">Drop a file under Contribute.</Empty>}
        >
          {(rows) => (
            <Table
              caption="Contributions, newest first"
              rows={rows}
              rowKey={({ rowsRoot }) => rowsRoot}
              columns={[
                {
                  head: 'Rows root',
                  cell: ({ rowsRoot }) => <Hash value={rowsRoot} kind="plain" copy />,
                },
                { head: 'Contributor', cell: ({ contributor }) => <Address value={contributor} /> },
                { head: 'Rows', align: 'right', cell: ({ rowCount }) => integer(rowCount) },
                {
                  head: 'Size',
                  align: 'right',
                  narrow: false,
                  cell: ({ byteCount }) => bytes(Number(byteCount)),
                },
                {
                  head: 'Given',
                  narrow: false,
                  cell: ({ revealedAt }) => <Age at={Number(revealedAt)} />,
                },
                { head: 'Judged', cell: (one) => <Outcome of={one} judged={judged} /> },
              ]}
            />
          )}
        </Show>
      </Card>
      {judged && isValidator
        ? of.data
            ?.filter(({ validation }) => validation.outcome === 'none')
            .map((one) => (
              <Judge key={one.rowsRoot} datanet={datanet} contribution={one} onDone={of.reload} />
            ))
        : null}
    </div>
  )
}

function Outcome({ of, judged }: { of: ContributionView; judged: boolean }) {
  const { outcome, score, openedAt } = of.validation
  if (of.isErased) return <Badge tone="bad">erased</Badge>
  if (outcome === 'accepted') return <Badge tone="good">accepted, {score / 100} of 100</Badge>
  if (outcome === 'rejected') return <Badge tone="bad">rejected, {score / 100} of 100</Badge>
  if (!judged) return <Badge tone="good">accepted</Badge>
  return <Badge tone="warn">{openedAt === '0' ? 'waits for scores' : 'being judged'}</Badge>
}

const ROWS_SHOWN = 5

/** What is judged: its rows, some at a time. */
function Given({ of }: { of: ContributionView }) {
  const [count, setCount] = useState(ROWS_SHOWN)
  const rows = useQuery(`rows of ${of.rowsRoot}`, () => rowsOfContribution(of))
  return (
    <Show
      of={rows}
      rows={3}
      what="rows"
      empty={<p class="muted">The rows are private: ask their contributor for a grant.</p>}
    >
      {(all) => (
        <>
          <ol class="stack" aria-label="Rows to judge">
            {all?.slice(0, count).map((row, i) => (
              <li key={i}>
                <RowShown row={row} />
              </li>
            ))}
          </ol>
          {all && count < all.length ? (
            <button
              type="button"
              class="button quiet small"
              onClick={() => setCount(count + 4 * ROWS_SHOWN)}
            >
              {integer(all.length - count)} more
            </button>
          ) : null}
        </>
      )}
    </Show>
  )
}

type Ballot = { readonly score: number; readonly salt: Hex; readonly round: number }

/** Salt and score stay in this browser between the two steps. */
const keyOf = (datanet: DatanetView, { rowsRoot, validation }: ContributionView, who: string) =>
  `ballot ${datanet.id} ${rowsRoot} ${validation.round} ${who}`

function Judge({
  datanet,
  contribution,
  onDone,
}: {
  datanet: DatanetView
  contribution: ContributionView
  onDone: () => void
}) {
  const wallet = useWallet()
  const now = useNow()
  const [text, setText] = useState('')
  const who = wallet?.address as Hex
  const key = keyOf(datanet, contribution, who)
  const kept = localStorage.getItem(key)
  const ballot = kept ? (JSON.parse(kept) as Ballot) : null
  const { rowsRoot, validation } = contribution
  const quorum = datanet.quorum
  const opened = Number(validation.openedAt)
  const revealsAt = opened + (quorum?.commitSeconds ?? 0)
  const endsAt = revealsAt + (quorum?.revealSeconds ?? 0)
  const phase =
    opened === 0 || now < revealsAt * 1000 ? 'commit' : now < endsAt * 1000 ? 'reveal' : 'end'
  const wrong = text === '' ? null : wrongWhole(text, 0, 100)
  const commit = async (stage: (text: string) => void): Promise<void> => {
    if (text === '' || wrong) throw new Error(wrong ?? 'Say a score from 0 to 100.')
    const { readContract, waitFor, writeContract } = await import('../wallet/send.ts')
    const made: Ballot = {
      score: Number(text) * 100,
      salt: toHex(crypto.getRandomValues(new Uint8Array(32))),
      round: validation.round,
    }
    const commitment = await readContract<Hex>({
      ...CONTRACT,
      functionName: 'scoreCommitment',
      args: [BigInt(datanet.id), rowsRoot, made.round, who, made.score, made.salt],
    })
    localStorage.setItem(key, JSON.stringify(made))
    stage('Waiting for the signature…')
    const args = [BigInt(datanet.id), rowsRoot, commitment]
    await waitFor(await writeContract({ ...CONTRACT, functionName: 'commitScore', args }))
    onDone()
  }
  return (
    <Card
      title="Judge a contribution"
      more={
        opened === 0
          ? 'the first score opens the round'
          : `${phase === 'end' ? 'ended' : phase === 'commit' ? 'reveal' : 'ends'} ${age(phase === 'commit' ? revealsAt : endsAt, now)}`
      }
    >
      <div class="form">
        <p>
          <Hash value={rowsRoot} kind="plain" /> of <Address value={contribution.contributor} />,{' '}
          {integer(contribution.rowCount)} rows
        </p>
        <Given of={contribution} />
        {phase === 'commit' && !ballot ? (
          <>
            <TextField
              label="Score"
              value={text}
              onValue={setText}
              inputMode="numeric"
              suffix="of 100"
              error={wrong}
              hint="Nobody sees it before the reveal. It stays in this browser: reveal from here."
            />
            <ActionButton run={commit}>Commit the score</ActionButton>
          </>
        ) : null}
        {phase === 'commit' && ballot ? (
          <p class="muted">You committed {ballot.score / 100} of 100. Come back to reveal it.</p>
        ) : null}
        {phase === 'reveal' ? (
          ballot ? (
            <TransactionButton
              onDone={onDone}
              call={() => ({
                ...CONTRACT,
                functionName: 'revealScore',
                args: [BigInt(datanet.id), rowsRoot, ballot.score, ballot.salt],
              })}
            >
              {`Reveal ${ballot.score / 100} of 100`}
            </TransactionButton>
          ) : (
            <p class="muted">No score of yours is kept in this browser.</p>
          )
        ) : null}
        {phase === 'end' ? (
          <TransactionButton
            onDone={onDone}
            call={() => ({
              ...CONTRACT,
              functionName: 'conclude',
              args: [BigInt(datanet.id), rowsRoot],
            })}
          >
            Conclude the round
          </TransactionButton>
        ) : null}
      </div>
    </Card>
  )
}
