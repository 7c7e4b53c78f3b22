/** /market/:kind/:id: one offer: its price and terms, who gets what of it, buying and licensing. */
import { Card, Fact, Facts, Page } from '../components/layout.tsx'
import { Empty, Notice, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Address, Age, Amount, Hash } from '../components/value.tsx'
import { duration } from '../lib/format.ts'
import { useCall, useQuery } from '../lib/hooks.ts'
import {
  buyCall,
  isIdOf,
  isKind,
  KIND_NAMES,
  type Listing,
  licenseCall,
  licensedUntilCall,
  NO_TERMS,
  nameOf,
  type Split,
  thingHref,
  unlistCall,
} from '../lib/market.ts'
import { navigate } from '../lib/router.ts'
import { toast } from '../lib/toast.ts'
import type { PageProps } from '../routes.ts'
import { NeedsWallet } from '../wallet/button.tsx'
import { readContract } from '../wallet/send.ts'
import { TransactionButton } from '../wallet/transaction.tsx'
import { useWallet, type Wallet } from '../wallet/wallet.ts'

export default function ListingPage({ params }: PageProps) {
  const { kind = '', id = '' } = params
  const valid = isKind(kind) && isIdOf(kind, id)
  const listing = useCall<Listing | null>(
    'openledger_getListing',
    valid ? [kind, id] : null,
    'block',
  )
  return (
    <Page
      title={listing.data ? nameOf(listing.data) : 'An offer'}
      lead={valid ? <a href={thingHref({ kind, id })}>{`${KIND_NAMES[kind]} ${id}`}</a> : ''}
      crumb={{ href: '/market', text: 'Market' }}
    >
      {valid ? (
        <Show
          of={listing}
          rows={6}
          what="offer"
          empty={
            <Empty title="It is not offered" icon="market">
              It was sold, or its owner took it back.
            </Empty>
          }
        >
          {(data) => <Offered listing={data} onDone={listing.reload} />}
        </Show>
      ) : (
        <Empty title="That names nothing that could be offered" icon="market">
          Agents and Datanets go by a number, models by their id.
        </Empty>
      )}
    </Page>
  )
}

function Offered({ listing, onDone }: { listing: Listing; onDone: () => void }) {
  const { seller, expiresAt, isGood, sale, licence } = listing
  const wallet = useWallet()
  const isMine = wallet?.address === seller
  return (
    <>
      {isGood ? null : (
        <Notice tone="bad">
          It cannot be bought now: the offer has ended, the seller owns it no more, or has not let
          the market hand it over.
        </Notice>
      )}
      <Card>
        <Facts>
          <Fact label="Seller">
            <Address value={seller} copy />
          </Fact>
          <Fact label="Stands until">
            <Age at={expiresAt} />
          </Fact>
        </Facts>
        {isMine ? (
          <TransactionButton primary={false} call={() => unlistCall(listing)} onDone={onDone}>
            Take it back
          </TransactionButton>
        ) : null}
      </Card>
      <div class="columns">
        {sale ? (
          <Card title="To buy" more={<Amount wei={sale.price} />}>
            <div class="stack">
              <SplitTable caption="Who gets what of the price" split={sale.split} />
              {wallet && !isMine ? (
                <TransactionButton
                  call={() => buyCall(listing, sale.price)}
                  onDone={(hash) => {
                    toast('good', `${nameOf(listing)} is yours`, `/tx/${hash}`)
                    navigate(thingHref(listing))
                  }}
                >
                  Buy
                </TransactionButton>
              ) : null}
            </div>
          </Card>
        ) : null}
        {licence ? <Licence listing={listing} licence={licence} wallet={wallet} /> : null}
      </div>
      {wallet ? null : <NeedsWallet to="buy it" />}
    </>
  )
}

function Licence({
  listing,
  licence,
  wallet,
}: {
  listing: Listing
  licence: NonNullable<Listing['licence']>
  wallet: Wallet | null
}) {
  const { kind, id } = listing
  const until = useQuery(
    wallet ? `licensed ${kind} ${id} ${wallet.address}` : null,
    () => readContract<bigint>(licensedUntilCall(listing, wallet?.address ?? '0x')),
    'block',
  )
  return (
    <Card title="To license" more={<Amount wei={licence.price} />}>
      <div class="stack">
        <Facts>
          <Fact label="For">{duration(licence.seconds * 1_000)}</Fact>
          <Fact label="Terms">
            {licence.termsHash === NO_TERMS ? (
              'none but the law’s'
            ) : (
              <Hash value={licence.termsHash} kind="plain" copy />
            )}
          </Fact>
          {until.data ? (
            <Fact label="You may use it until">
              <Age at={Number(until.data)} />
            </Fact>
          ) : null}
        </Facts>
        <SplitTable caption="Who gets what of a licence" split={licence.split} />
        {wallet ? (
          <TransactionButton
            call={() => licenseCall(listing, licence, wallet.address)}
            onDone={until.reload}
          >
            License
          </TransactionButton>
        ) : null}
      </div>
    </Card>
  )
}

function SplitTable({ caption, split }: { caption: string; split: Split }) {
  return (
    <Table
      caption={caption}
      rows={split.map((one, i) => ({ ...one, i }))}
      rowKey={({ i }) => String(i)}
      columns={[
        { head: 'Account', cell: ({ account }) => <Address value={account} /> },
        { head: 'Gets', align: 'right', cell: ({ amount }) => <Amount wei={amount} /> },
      ]}
    />
  )
}
