/** /datanet/:id: one Datanet: its rows, terms, versions, people, and giving rows to it. */
import { useMemo } from 'preact/hooks'
import { tierOf } from '../../../datanet/media.ts'
import { Card, Fact, Facts, Page, Pager, Stat, Stats, Tabs } from '../components/layout.tsx'
import { MediaOf, TierBadge } from '../components/media.tsx'
import { Empty, Show } from '../components/state.tsx'
import { Table } from '../components/table.tsx'
import { Publish, Upload } from '../components/upload.tsx'
import { Queue } from '../components/validation.tsx'
import { Address, Age, Amount, Badge, Hash } from '../components/value.tsx'
import {
  type ContributionView,
  contributionsOf,
  copiesOf,
  type DatanetView,
  rowsOf,
  type VersionView,
} from '../lib/datanet.ts'
import { compact, dateTime, integer, percent } from '../lib/format.ts'
import { type Loaded, useCall, useQuery } from '../lib/hooks.ts'
import { setQuery, usePlace } from '../lib/router.ts'
import type { Hex } from '../lib/types.ts'
import type { PageProps } from '../routes.ts'
import './datanet.css'

export default function Datanet({ params }: PageProps) {
  const { id = '' } = params
  const valid = /^[1-9]\d{0,8}$/.test(id)
  const datanet = useCall<DatanetView | null>(
    'openledger_getDatanet',
    valid ? [Number(id)] : null,
    'block',
  )
  const contributions = useQuery(valid ? `contributions ${id}` : null, () => contributionsOf(id))
  const found = datanet.data
  return (
    <Page
      title={found?.name ?? `Datanet ${id}`}
      lead={found ? <Owner of={found} /> : undefined}
      crumb={{ href: '/datanets', text: 'Datanets' }}
      actions={found ? <Publish datanet={found} onDone={datanet.reload} /> : undefined}
    >
      {valid ? (
        <Show of={datanet} rows={8} what="Datanet" empty={<Empty title="No such Datanet" />}>
          {(data) => (
            <Parts
              datanet={data}
              contributions={contributions}
              onDone={() => {
                datanet.reload()
                contributions.reload()
              }}
            />
          )}
        </Show>
      ) : (
        <Empty title="That is no Datanet's id">A number from 1 on.</Empty>
      )}
    </Page>
  )
}

const Owner = ({ of }: { of: DatanetView }) => (
  <>
    Datanet {of.id}, owned by <Address value={of.owner} />
  </>
)

function Parts({
  datanet,
  contributions,
  onDone,
}: {
  datanet: DatanetView
  contributions: Loaded<ContributionView[]>
  onDone: () => void
}) {
  const place = usePlace()
  const wanted = Number(place.query.get('version'))
  const number = wanted >= 1 && wanted <= datanet.versionCount ? wanted : datanet.versionCount
  const version = useCall<VersionView | null>(
    'openledger_getDatanetVersion',
    number > 0 ? [Number(datanet.id), number] : null,
  )
  const given = contributions.data
  const rows = given?.reduce((sum, { rowCount }) => sum + rowCount, 0)
  return (
    <>
      <Stats>
        <Stat label="Rows given" note="all contributions">
          {rows === undefined ? '–' : integer(rows)}
        </Stat>
        <Stat label="Contributors">{integer(datanet.contributorCount)}</Stat>
        <Stat label="Versions">{integer(datanet.versionCount)}</Stat>
        <Stat label="Rows in the newest version">
          {number === datanet.versionCount && version.data ? integer(version.data.rowCount) : '–'}
        </Stat>
      </Stats>
      <Tabs
        label="Parts of the Datanet"
        tabs={[
          {
            id: 'rows',
            label: 'Rows',
            content: () => <Rows datanet={datanet} number={number} of={version} />,
          },
          {
            id: 'upload',
            label: 'Contribute',
            content: () => <Upload datanet={datanet} onDone={onDone} />,
          },
          {
            id: 'terms',
            label: 'Schema and licence',
            content: () => <Terms datanet={datanet} of={version} />,
          },
          { id: 'versions', label: 'Versions', content: () => <Versions datanet={datanet} /> },
          {
            id: 'people',
            label: 'Contributors',
            content: () => <People of={contributions} />,
          },
          {
            id: 'queue',
            label: 'Validation',
            count:
              (datanet.quorum?.threshold ?? 0) > 0
                ? given?.filter(({ validation }) => validation.outcome === 'none').length
                : undefined,
            content: () => <Queue datanet={datanet} of={contributions} />,
          },
        ]}
      />
    </>
  )
}

const NONE = (
  <Empty title="No version is published yet" icon="data">
    The owner publishes what is accepted; a model is trained on a version.
  </Empty>
)
const ROWS_SHOWN = 20

function Rows({
  datanet,
  number,
  of,
}: {
  datanet: DatanetView
  number: number
  of: Loaded<VersionView | null>
}) {
  if (number === 0) return <Card>{NONE}</Card>
  return (
    <Show of={of} rows={8} what="version" empty={NONE}>
      {(version) => (
        <div class="datanet-rows">
          <RowList datanet={datanet} number={number} version={version} />
          <ProfileCard datanet={datanet} number={number} version={version} />
        </div>
      )}
    </Show>
  )
}

function RowList({
  number,
  version,
}: {
  datanet: DatanetView
  number: number
  version: VersionView
}) {
  const place = usePlace()
  const chosen = place.query.get('row')
  const wanted = Number(place.query.get('from') ?? chosen ?? 0) || 0
  const from = Math.max(0, Math.min(wanted - (wanted % ROWS_SHOWN), version.rowCount - 1))
  const rows = useQuery(`rows ${version.rowsRoot} ${from}`, () => rowsOf(version, from, ROWS_SHOWN))
  const go = (next: number) => (): void => setQuery('from', String(next))
  return (
    <Card
      title={`Rows of version ${number}`}
      more={`${integer(version.rowCount)}, checked by hash`}
      flush
    >
      <Show of={rows} rows={8} what="rows">
        {(list) => (
          <ol class="row-list">
            {list.map(({ index, contributor, row }) => (
              <li key={index} class={String(index) === chosen ? 'chosen' : ''}>
                <p class="small muted">
                  <span class="num">{integer(index)}</span> by <Address value={contributor} />
                  <TierBadge tier={tierOf(row)} />
                  {Object.entries(row.meta ?? {}).map(([name, value]) => (
                    <Badge key={name}>
                      {name} {String(value)}
                    </Badge>
                  ))}
                </p>
                {row.media ? <MediaOf media={row.media} text={row.text} /> : null}
                <p class="row-body">{row.text}</p>
              </li>
            ))}
          </ol>
        )}
      </Show>
      <Pager
        words={['Before', 'After']}
        newer={from > 0 ? go(Math.max(0, from - ROWS_SHOWN)) : undefined}
        older={from + ROWS_SHOWN < version.rowCount ? go(from + ROWS_SHOWN) : undefined}
        at={`${integer(from)} to ${integer(Math.min(version.rowCount, from + ROWS_SHOWN) - 1)}`}
      />
    </Card>
  )
}

type Profile = {
  readonly rows: number
  readonly tokens: number
  readonly longest: number
  readonly histogram: readonly {
    readonly from: number
    readonly to: number
    readonly rows: number
  }[]
  readonly copies: { readonly exact: number; readonly near: number } | null
}

function ProfileCard({
  datanet,
  number,
  version,
}: {
  datanet: DatanetView
  number: number
  version: VersionView
}) {
  const profile = useCall<Profile>('openledger_getVersionProfile', [Number(datanet.id), number])
  const copies = useQuery(`copies ${version.groupsHash}`, () => copiesOf(version))
  return (
    <div class="stack">
      <Card title="Length of rows" more="tokens of the base model">
        <Show of={profile} rows={6} what="lengths">
          {(data) => <Histogram of={data} />}
        </Show>
      </Card>
      <Card title="Near-duplicates" more={copies.data ? integer(copies.data.length) : undefined}>
        <Show
          of={copies}
          rows={3}
          what="duplicates"
          empty={<Empty title="No row repeats another" icon="check" />}
        >
          {(list) => (
            <>
              <p class="hint">
                A copy of an earlier row, in any Datanet, earns nothing: its owner is whoever
                committed first.
              </p>
              <ul class="copies">
                {list.slice(0, ROWS_SHOWN).map(({ row, kind, group }) => (
                  <li key={row}>
                    <a href={`/datanet/${datanet.id}?version=${number}&row=${row}`}>
                      Row {integer(row)}
                    </a>{' '}
                    {kind === 'exact' ? 'is a copy' : 'nearly repeats another'}{' '}
                    <span class="mono muted">{group.slice(0, 10)}</span>
                  </li>
                ))}
              </ul>
            </>
          )}
        </Show>
      </Card>
    </div>
  )
}

function Histogram({ of }: { of: Profile }) {
  const shown = of.histogram.filter(({ to }) => to > 1)
  const most = Math.max(1, ...shown.map(({ rows }) => rows))
  return (
    <>
      <ul class="histogram" aria-label="Rows by length">
        {shown.map(({ from, to, rows }) => (
          <li key={from}>
            <span class="num muted">
              {from} to {to - 1}
            </span>
            <meter class="meter" min={0} max={most} value={rows}>
              {rows}
            </meter>
            <span class="num">{integer(rows)}</span>
          </li>
        ))}
      </ul>
      <p class="hint">
        {integer(of.rows)} rows, {compact(of.tokens)} tokens, the longest {integer(of.longest)}.
      </p>
    </>
  )
}

function Terms({ datanet, of }: { datanet: DatanetView; of: Loaded<VersionView | null> }) {
  const terms = of.data?.terms
  const { limits, quorum } = datanet
  return (
    <div class="columns">
      <Card title="Schema">
        <pre class="schema">{pretty(datanet.schema)}</pre>
        <Facts>
          <Fact label="One contribution">at most {integer(limits.rowsMax)} rows</Fact>
          <Fact label="One row">at most {integer(limits.rowBytesMax)} bytes</Fact>
          <Fact label="Judged by">
            {quorum && quorum.threshold > 0
              ? `${quorum.threshold} of ${quorum.validators.length} validators, median from ${quorum.scoreMin / 100} of 100`
              : 'nobody: everything is accepted'}
          </Fact>
          <Fact label="Treasury">
            <Address value={datanet.treasury} />
          </Fact>
        </Facts>
      </Card>
      <Card title="Licence" more={of.data ? `number ${of.data.licence}` : undefined}>
        {terms ? (
          <Facts>
            <Fact label="Allowed">
              <span class="button-row">
                {terms.permissions.map((name) => (
                  <Badge key={name} tone="good">
                    {name}
                  </Badge>
                ))}
              </span>
            </Fact>
            <Fact label="Purposes">{terms.purposes.join(', ') || 'any'}</Fact>
            <Fact label="For contributors">
              at least {percent(terms.contributorsMin / 10_000, 0)} of each fee
            </Fact>
            <Fact label="Ends">
              {terms.expiresAt === '0' ? 'never' : dateTime(Number(terms.expiresAt))}
            </Fact>
            <Fact label="Revoked">
              {terms.revokedAt === '0' ? 'no' : dateTime(Number(terms.revokedAt))}
            </Fact>
          </Facts>
        ) : (
          NONE
        )}
      </Card>
    </div>
  )
}

function pretty(schema: string): string {
  try {
    return JSON.stringify(JSON.parse(schema), null, 2)
  } catch {
    return schema || 'any well-formed row'
  }
}

const VERSIONS_SHOWN = 50

function Versions({ datanet }: { datanet: DatanetView }) {
  const numbers = Array.from(
    { length: Math.min(datanet.versionCount, VERSIONS_SHOWN) },
    (_, i) => datanet.versionCount - i,
  )
  const list = useQuery(`versions ${datanet.id} ${datanet.versionCount}`, () =>
    Promise.all(
      numbers.map(async (number) => {
        const { call } = await import('../lib/rpc.ts')
        const version = await call<VersionView>(
          'openledger_getDatanetVersion',
          Number(datanet.id),
          number,
        )
        return { number, ...version }
      }),
    ),
  )
  return (
    <Card flush>
      <Show of={list} rows={3} what="versions" empty={NONE}>
        {(rows) => (
          <Table
            caption="Versions, newest first"
            rows={rows}
            rowKey={({ number }) => number}
            columns={[
              {
                head: 'Version',
                cell: ({ number }) => (
                  <a href={`/datanet/${datanet.id}?version=${number}`}>{number}</a>
                ),
              },
              { head: 'Rows', align: 'right', cell: ({ rowCount }) => integer(rowCount) },
              {
                head: 'Contributions',
                align: 'right',
                cell: ({ contributionCount }) => integer(contributionCount),
              },
              { head: 'Published', cell: ({ publishedAt }) => <Age at={Number(publishedAt)} /> },
              {
                head: 'Rows root',
                narrow: false,
                cell: ({ rowsRoot }) => <Hash value={rowsRoot} kind="plain" copy />,
              },
              {
                head: 'Content',
                narrow: false,
                cell: ({ cid }) => <Hash value={cid} kind="plain" copy />,
              },
            ]}
          />
        )}
      </Show>
    </Card>
  )
}

type Person = { readonly account: Hex; readonly rows: number; readonly earned: bigint }

function People({ of }: { of: Loaded<ContributionView[]> }) {
  const earnings = useQuery('earnings of all', async () =>
    (await import('../lib/earnings.ts')).earningsOf(null),
  )
  const people = useMemo((): Person[] | undefined => {
    if (!of.data) return undefined
    const found = new Map<Hex, Person>()
    for (const { contributor: account, rowCount } of of.data) {
      const rows = (found.get(account)?.rows ?? 0) + rowCount
      found.set(account, { account, rows, earned: 0n })
    }
    for (const { account, amount } of earnings.data ?? []) {
      const person = found.get(account)
      if (person) found.set(account, { ...person, earned: person.earned + amount })
    }
    return [...found.values()].sort((a, b) =>
      a.earned === b.earned ? b.rows - a.rows : a.earned < b.earned ? 1 : -1,
    )
  }, [of.data, earnings.data])
  return (
    <Card title="Contributors" more="earned over all models that use their rows" flush>
      <Show of={{ ...of, data: people }} rows={5} what="contributors">
        {(rows) => (
          <Table
            caption="Contributors by what they earned"
            rows={rows}
            rowKey={({ account }) => account}
            columns={[
              { head: 'Account', cell: ({ account }) => <Address value={account} /> },
              { head: 'Rows', align: 'right', cell: ({ rows: count }) => integer(count) },
              {
                head: 'Earned',
                align: 'right',
                cell: ({ earned }) => (earnings.data ? <Amount wei={earned} /> : '–'),
              },
            ]}
          />
        )}
      </Show>
    </Card>
  )
}
