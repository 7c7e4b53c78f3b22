/** /market: agents, models and Datanets that are for sale or to be licensed; offering one; what is booked to you. */
import { useState } from 'preact/hooks'
import { SelectField, TextField } from '../components/field.tsx'
import { Card, Page } from '../components/layout.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Age, Amount, Badge } from '../components/value.tsx'
import { type Problems, useForm, wrongWhole } from '../lib/form.ts'
import { duration, parseOpen } from '../lib/format.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import {
  approveCall,
  isIdOf,
  KIND_NAMES,
  KINDS,
  type Kind,
  LICENCE_DAYS_MAX,
  type Listings,
  listCall,
  listingHref,
  MARKET,
  NO_TERMS,
  nameOf,
  OFFER_DAYS_MAX,
  type Split,
  withdrawCall,
} from '../lib/market.ts'
import { navigate } from '../lib/router.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { readContract } from '../wallet/send.ts'
import { ActionButton, TransactionButton } from '../wallet/transaction.tsx'
import { useWallet } from '../wallet/wallet.ts'

/** Of one call of the node. */
const LISTED = 20
const DAY_SECONDS = 86_400

export default function MarketPage() {
  const [from, setFrom] = useState(0)
  const found = useCall<Listings>('openledger_getListings', [from, LISTED], 'block')
  const { total } = found.data ?? { total: 0 }
  return (
    <Page
      title="Market"
      lead="Whole agents, models and Datanets change hands here, or are licensed for a time. Of what is paid, the owners of a model’s ancestors get their part: the lineage stays whoever owns the thing."
    >
      <Card flush>
        <Show of={found} rows={4} what="offers">
          {({ listings }) =>
            listings.length === 0 ? (
              <Empty title="Nothing is offered" icon="market">
                What you own you can offer below.
              </Empty>
            ) : (
              <Table
                caption="Offers"
                rows={listings}
                rowKey={({ kind, id }) => `${kind} ${id}`}
                columns={[
                  {
                    head: 'What',
                    cell: (one) => <a href={listingHref(one)}>{nameOf(one)}</a>,
                  },
                  { head: 'Kind', narrow: false, cell: ({ kind }) => KIND_NAMES[kind] },
                  {
                    head: 'Price',
                    align: 'right',
                    cell: ({ sale }) =>
                      sale ? <Amount wei={sale.price} /> : <span class="muted">not for sale</span>,
                  },
                  {
                    head: 'Royalties',
                    align: 'right',
                    narrow: false,
                    cell: ({ sale }) => (sale ? <Amount wei={royalties(sale.split)} /> : '–'),
                  },
                  {
                    head: 'Licence',
                    align: 'right',
                    cell: ({ licence }) =>
                      licence ? (
                        <>
                          <Amount wei={licence.price} /> for {duration(licence.seconds * 1_000)}
                        </>
                      ) : (
                        <span class="muted">none</span>
                      ),
                  },
                  {
                    head: 'Seller',
                    narrow: false,
                    cell: ({ seller }) => <Address value={seller} />,
                  },
                  {
                    head: 'Until',
                    narrow: false,
                    cell: ({ expiresAt, isGood }) =>
                      isGood ? <Age at={expiresAt} /> : <Badge tone="warn">cannot be bought</Badge>,
                  },
                ]}
              />
            )
          }
        </Show>
      </Card>
      {total > LISTED ? (
        <div class="button-row">
          <button
            type="button"
            class="button quiet"
            disabled={from === 0}
            onClick={() => setFrom(Math.max(0, from - LISTED))}
          >
            Before
          </button>
          <button
            type="button"
            class="button quiet"
            disabled={from + LISTED >= total}
            onClick={() => setFrom(from + LISTED)}
          >
            More
          </button>
        </div>
      ) : null}
      <div class="columns">
        <OfferCard />
        <CreditCard />
      </div>
    </Page>
  )
}

/** All but the seller's part. */
const royalties = (split: Split): bigint =>
  split.slice(1).reduce((sum, { amount }) => sum + BigInt(amount), 0n)

type Form = {
  readonly kind: string
  readonly id: string
  readonly price: string
  readonly licencePrice: string
  readonly licenceDays: string
  readonly terms: string
  readonly days: string
}
const START: Form = {
  kind: 'agent',
  id: '',
  price: '',
  licencePrice: '',
  licenceDays: '30',
  terms: '',
  days: '30',
}

function problemsOf(form: Form): Problems<Form> {
  const found: Problems<Form> = {}
  const wrong = (text: string): string | undefined =>
    text === '' || parseOpen(text) !== null ? undefined : `'${text}' is no amount of OPEN.`
  if (!isIdOf(form.kind as Kind, form.id))
    found.id = form.kind === 'model' ? '0x and 64 digits.' : 'A number from 1 on.'
  const [price, licence] = [wrong(form.price), wrong(form.licencePrice)]
  if (price) found.price = price
  if (licence) found.licencePrice = licence
  const isOffered = [form.price, form.licencePrice].some((text) => (parseOpen(text) ?? 0n) > 0n)
  if (!price && !licence && !isOffered) found.price = 'A price, one of a licence, or both.'
  const licenceDays = wrongWhole(form.licenceDays, 1, LICENCE_DAYS_MAX)
  if (licenceDays) found.licenceDays = licenceDays
  const days = wrongWhole(form.days, 1, OFFER_DAYS_MAX)
  if (days) found.days = days
  if (form.terms !== '' && !/^0x[0-9a-f]{64}$/.test(form.terms))
    found.terms = 'The hash of a text that this node keeps: 0x and 64 digits.'
  return found
}

function OfferCard() {
  const wallet = useWallet()
  const { form, field, check } = useForm(START, problemsOf)
  const offer = async (stage: (text: string) => void): Promise<void> => {
    const first = check()
    if (first) throw new Error(`Something is not right yet: ${first}`)
    const thing = { kind: form.kind as Kind, id: form.id }
    const { waitFor, writeContract } = await import('../wallet/send.ts')
    const send = async (call: Parameters<typeof writeContract>[0], what: string) => {
      stage(`Waiting for the signature${what}…`)
      const hash = await writeContract(call)
      stage('On its way…')
      await waitFor(hash)
    }
    const [price, licencePrice] = [parseOpen(form.price) ?? 0n, parseOpen(form.licencePrice) ?? 0n]
    if (thing.kind === 'agent' && price > 0n)
      await send(approveCall(thing.id), ' that lets the market hand it over')
    const now = Math.floor(Date.now() / 1_000)
    await send(
      listCall(thing, {
        price,
        licencePrice,
        licenceSeconds: licencePrice > 0n ? BigInt(Number(form.licenceDays) * DAY_SECONDS) : 0n,
        expiresAt: BigInt(now + Number(form.days) * DAY_SECONDS - DAY_SECONDS / 24),
        termsHash: (form.terms || NO_TERMS) as `0x${string}`,
      }),
      '',
    )
    navigate(listingHref(thing))
  }
  return (
    <Card title="Offer something of yours" more="you keep it until it is bought">
      {wallet ? (
        <div class="form">
          <SelectField
            label="Kind"
            {...field('kind')}
            options={KINDS.map((kind) => ({ value: kind, text: KIND_NAMES[kind] }))}
          />
          <TextField
            label="Which one"
            {...field('id')}
            placeholder={form.kind === 'model' ? '0x…' : '1'}
          />
          <TextField label="Price" {...field('price')} suffix="OPEN" inputMode="decimal" />
          <TextField
            label="Price of a licence"
            {...field('licencePrice')}
            suffix="OPEN"
            inputMode="decimal"
          />
          <TextField label="Days of a licence" {...field('licenceDays')} inputMode="numeric" />
          <TextField label="Terms of a licence" {...field('terms')} placeholder="0x…, or nothing" />
          <TextField label="Days that the offer stands" {...field('days')} inputMode="numeric" />
          <ActionButton run={offer}>Offer</ActionButton>
        </div>
      ) : (
        <NeedsWallet to="offer what you own" />
      )}
    </Card>
  )
}

function CreditCard() {
  const wallet = useWallet()
  const credit = useQuery(
    wallet ? `market credit ${wallet.address}` : null,
    () =>
      readContract<bigint>({
        ...MARKET,
        functionName: 'creditOf',
        args: [wallet?.address],
      }),
    'block',
  )
  return (
    <Card title="Booked to you" more="sales, licences, royalties">
      {wallet ? (
        <div class="stack">
          <p>
            <Amount wei={credit.data ?? 0n} />
          </p>
          <TransactionButton
            disabled={!credit.data}
            call={() => withdrawCall(wallet.address)}
            onDone={credit.reload}
          >
            Withdraw
          </TransactionButton>
        </div>
      ) : (
        <NeedsWallet to="see what is booked to you" />
      )}
    </Card>
  )
}
