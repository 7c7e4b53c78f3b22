/**
 * An answer coloured by whose data shaped it. Words that stand in somebody's rows have that contributor's colour; hovering or
 * focusing them, or a contributor, shows all there is to know: who, which Datanet and rows, weight, wei, transaction.
 */
import { useState } from 'preact/hooks'
import type { Row } from '../../../datanet/rows.ts'
import { ShareBar } from '../chart/bars.tsx'
import {
  type Attribution,
  COLOURS,
  colourOf,
  type Owner,
  type Piece,
  WEIGHT_ONE,
} from '../lib/attribution.ts'
import { counted, integer, percent, short } from '../lib/format.ts'
import { useCall } from '../lib/hooks.ts'
import { nameOf } from '../lib/names.ts'
import type { Hex, ReceiptView } from '../lib/types.ts'
import { Fact, Facts } from './layout.tsx'
import { RowShown, TierBadge } from './media.tsx'
import { VerdictBadge } from './receipts.tsx'
import { RetrievedRows } from './retrieved.tsx'
import { Show } from './state.tsx'
import { Address, Amount, BlockLink, Hash } from './value.tsx'

/** `piece`: the span that was chosen, when it was a span. */
type Chosen = { readonly account: Hex; readonly piece?: Piece }

export function ColouredAnswer({ of, receipt }: { of: Attribution; receipt: ReceiptView }) {
  const [pinned, pin] = useState<Chosen | null>(null)
  const [passing, pass] = useState<Chosen | null>(null)
  const shown = passing ?? pinned
  const quoted = of.pieces.some(({ owners }) => owners.length > 0)
  return (
    <div class="coloured">
      <p class="answer-text">
        {of.pieces.map((piece) => (
          <PieceText
            key={piece.from}
            of={of}
            piece={piece}
            chosen={shown}
            onPass={pass}
            onPin={pin}
          />
        ))}
      </p>
      {quoted ? null : (
        <p class="hint">
          No words here stand in the training rows one after another: the whole answer is shaped by
          the weights below.
        </p>
      )}
      <Contributors of={of} chosen={shown} onPass={pass} onPin={pin} />
      {shown ? <Detail of={of} receipt={receipt} chosen={shown} /> : null}
      <RetrievedRows of={of} />
      <p class="small muted answer-foot">
        Settled in block <BlockLink number={receipt.block.number} />,{' '}
        <Hash value={receipt.transaction} kind="tx" /> for <Amount wei={receipt.fee} />{' '}
        <VerdictBadge verdict={receipt.verdict} />
      </p>
    </div>
  )
}

type Choosing = {
  of: Attribution
  chosen: Chosen | null
  onPass: (chosen: Chosen | null) => void
  onPin: (chosen: Chosen | null) => void
}

/** `on...` of something that can be passed over, focused and pressed. */
const handlers = ({ onPass, onPin }: Choosing, target: Chosen) => ({
  onMouseEnter: () => onPass(target),
  onMouseLeave: () => onPass(null),
  onFocus: () => onPin(target),
  onClick: () => onPin(target),
})

function PieceText({ piece, ...choosing }: Choosing & { piece: Piece }) {
  const owner = piece.owners[0]
  if (!owner) return <span>{piece.text}</span>
  const { of, chosen } = choosing
  const isOn = chosen?.piece === piece || (!chosen?.piece && chosen?.account === owner.contributor)
  return (
    <button
      type="button"
      class={`piece ${colourOf(of, owner.contributor)}${isOn ? ' on' : ''}`}
      aria-label={`${piece.text.trim()}: from a row of ${nameOf(owner.contributor) ?? short(owner.contributor, 6, 4)}`}
      {...handlers(choosing, { account: owner.contributor, piece })}
    >
      {piece.text}
    </button>
  )
}

function Contributors(choosing: Choosing) {
  const { of, chosen } = choosing
  const [all, setAll] = useState(false)
  const { contributors } = of
  if (contributors.length === 0)
    return (
      <p class="hint">
        Nobody's data can be named for this answer: the part of contributors went to the treasury of
        the Datanet.
      </p>
    )
  const best = contributors.slice(0, COLOURS)
  const rest = contributors.slice(COLOURS)
  const sum = (list: typeof contributors): number =>
    list.reduce((total, { weight }) => total + Number(weight), 0) / WEIGHT_ONE
  return (
    <>
      <div class="answer-bar">
        <ShareBar
          label="Shares of the contributors"
          parts={[
            ...best.map(({ account, weight }) => ({
              label: nameOf(account) ?? short(account, 6, 4),
              value: Number(weight),
              text: percent(Number(weight) / WEIGHT_ONE),
            })),
            ...(rest.length > 0
              ? [
                  {
                    label: `${rest.length} others`,
                    value: sum(rest) * WEIGHT_ONE,
                    text: percent(sum(rest)),
                  },
                ]
              : []),
          ]}
        />
      </div>
      <ul class="contributors" aria-label="Contributors">
        {(all ? contributors : best).map(({ account, weight, amount }) => (
          <li key={account}>
            <button
              type="button"
              class={`contributor ${colourOf(of, account)}${chosen?.account === account ? ' on' : ''}`}
              aria-pressed={chosen?.account === account}
              {...handlers(choosing, { account })}
            >
              <span class="dot" aria-hidden="true" />
              <span class="who">{nameOf(account) ?? short(account, 6, 4)}</span>
              <span class="num">{percent(Number(weight) / WEIGHT_ONE)}</span>
              <Amount wei={amount} />
            </button>
          </li>
        ))}
      </ul>
      {rest.length > 0 ? (
        <button type="button" class="button quiet small" onClick={() => setAll(!all)}>
          {all ? 'Only the best paid' : `All ${counted(contributors.length, 'contributor')}`}
        </button>
      ) : null}
    </>
  )
}

function Detail({
  of,
  receipt,
  chosen,
}: {
  of: Attribution
  receipt: ReceiptView
  chosen: Chosen
}) {
  const { account, piece } = chosen
  const one = of.contributors.find((item) => item.account === account)
  const owners = (piece ? [piece] : of.pieces)
    .flatMap((item) => item.owners)
    .filter(({ contributor }) => contributor === account)
  const part = (weight: string | undefined): string => percent(Number(weight ?? 0) / WEIGHT_ONE, 2)
  return (
    <section class={`detail ${colourOf(of, account)}`} aria-live="polite">
      <Facts>
        <Fact label="Contributor">
          <Address value={account} copy />
        </Fact>
        <Fact label="Weight">
          <span class="num">{part(one?.weight)}</span>{' '}
          <span class="muted small">
            {of.channels.gradient / 100} parts influence: {part(one?.gradient)};{' '}
            {of.channels.span / 100} parts verbatim: {part(one?.span)};{' '}
            {of.channels.retrieval / 100} parts read: {part(one?.retrieval)}
          </span>
        </Fact>
        <Fact label="Paid">
          <Amount wei={one?.amount ?? '0'} />{' '}
          <span class="muted num small">{integer(one?.amount ?? '0')} wei</span>
        </Fact>
        <Fact label="Transaction">
          <Hash value={receipt.transaction} kind="tx" />
        </Fact>
        {owners.length > 0 ? (
          <Fact label={owners.length === 1 ? 'Row' : 'Rows'}>
            <ul class="stack">
              {owners.slice(0, 4).map((owner) => (
                <li key={owner.claim}>
                  <RowOf owner={owner} />
                </li>
              ))}
            </ul>
          </Fact>
        ) : (
          <Fact label="Rows">
            <span class="muted">
              {one?.retrieval === '0'
                ? 'none quoted: paid for what the rows taught the model (gradient influence)'
                : 'none quoted: paid for the rows that were read, below, and for what others taught the model'}
            </span>
          </Fact>
        )}
      </Facts>
    </section>
  )
}

type RowView = { readonly row: Row | null; readonly count: number }

function RowOf({ owner }: { owner: Owner }) {
  const { datanet, version, row, tier, score, weight } = owner
  const found = useCall<RowView>('openledger_getRow', [Number(datanet), version, row])
  return (
    <>
      <p class="small">
        <a href={`/datanet/${datanet}?version=${version}&row=${row}`}>
          Datanet {datanet}, version {version}, row {integer(row)}
        </a>{' '}
        <TierBadge tier={tier} />{' '}
        <span class="muted num">
          {score / 8} bits of surprise, {percent(weight)} of what is quoted
        </span>
      </p>
      <Show of={found} rows={2} what="row">
        {({ row: shown }) => <RowShown row={shown} />}
      </Show>
    </>
  )
}
