/**
 * Provenance in the words of W3C PROV-O, as JSON-LD: events are activities, what they make are entities, accounts are
 * agents (did:pkh). Pure; no vocabulary but PROV's where it has a word, and its context needs no network.
 */
import type { RowPlace } from '../attribution/explain.ts'
import type { Hex } from '../base/bytes.ts'
import type { Facts, ProvenanceEvent } from './event.ts'
import type { Provenance } from './walk.ts'

type Value = string | number | boolean | Node | readonly Value[]
type Node = { readonly [name: string]: Value }

export type ProvDocument = { readonly '@context': Node; readonly '@graph': readonly Node[] }

const CONTEXT: Node = {
  prov: 'http://www.w3.org/ns/prov#',
  rdfs: 'http://www.w3.org/2000/01/rdf-schema#',
  xsd: 'http://www.w3.org/2001/XMLSchema#',
  ol: 'urn:openledger:ns:',
}

export function provOf({ events, answer }: Provenance, chainId: number): ProvDocument {
  const graph = new Graph(chainId)
  const known = new Map(events.map((event) => [event.hash, event]))
  for (const event of events) graph.event(event, known)
  const served = events.find(({ kind }) => kind === 'served')
  if (answer && served?.kind === 'served') {
    const text = graph.receipt(served.about.receipt)
    for (const { contributor, ...row } of answer.quotes) {
      const id = graph.row(row, contributor)
      graph.add(text, { 'prov:wasQuotedFrom': [{ '@id': id }] })
    }
    for (const { contributor, ...row } of answer.retrieved) {
      const id = graph.row(row, contributor)
      graph.add(text, { 'prov:wasDerivedFrom': [{ '@id': id }] })
    }
    for (const { account, rows } of answer.payees)
      for (const one of rows) {
        const id = graph.row(one, account)
        graph.add(text, { 'prov:wasInfluencedBy': [{ '@id': id }] })
      }
  }
  return { '@context': CONTEXT, '@graph': graph.nodes() }
}

class Graph {
  readonly #chainId: number
  readonly #nodes = new Map<string, Record<string, Value>>()

  constructor(chainId: number) {
    this.#chainId = chainId
  }

  nodes(): Node[] {
    return [...this.#nodes].map(([id, node]) => ({ '@id': id, ...node }))
  }

  /** Lists grow, everything else is said once. */
  add(id: string, members: Node): void {
    const node = this.#nodes.get(id) ?? {}
    for (const [name, value] of Object.entries(members)) {
      const before = node[name]
      if (!Array.isArray(value) || !Array.isArray(before)) node[name] = value
      else {
        const said = new Set(before.map((one) => JSON.stringify(one)))
        node[name] = [...before, ...value.filter((one) => !said.has(JSON.stringify(one)))]
      }
    }
    this.#nodes.set(id, node)
  }

  event(event: ProvenanceEvent, known: ReadonlyMap<Hex, ProvenanceEvent>): void {
    const id = this.#event(event.hash)
    const before = event.predecessors.flatMap((hash) => known.get(hash) ?? [])
    const time = new Date(Number(event.block.timestamp) * 1_000).toISOString()
    this.add(id, {
      '@type': ['prov:Activity'],
      'rdfs:label': event.kind,
      'prov:endedAtTime': { '@type': 'xsd:dateTime', '@value': time },
      'ol:block': whole(event.block.number.toString()),
      'ol:transaction': event.transaction,
      'ol:logIndex': whole(event.logIndex.toString()),
      'ol:logs': event.logsHash,
    })
    for (const hash of event.predecessors)
      this.add(id, { 'prov:wasInformedBy': [{ '@id': this.#event(hash) }] })
    for (const one of before) this.add(id, { 'prov:used': [{ '@id': this.#subject(one) }] })
    this.#made(event, { id, sources: before.map((one) => this.#subject(one)) })
  }

  receipt(hash: Hex): string {
    return `urn:openledger:${this.#chainId}:receipt:${hash}`
  }

  row(
    { datanet, version, row, rowHash, tier }: RowPlace & { rowHash: Hex },
    contributor: Hex,
  ): string {
    const id = `urn:openledger:${this.#chainId}:row:${datanet}/${version}/${row}`
    const said = { 'ol:rowHash': rowHash, 'ol:tier': tier }
    this.#entity(id, 'row', { ...said, ...this.#by(contributor) })
    this.add(this.#version(datanet, version), {
      '@type': ['prov:Entity', 'prov:Collection'],
      'prov:hadMember': [{ '@id': id }],
    })
    return id
  }

  #made(event: ProvenanceEvent, { id, sources }: { id: string; sources: string[] }): void {
    const subject = this.#subject(event)
    const generated = { 'prov:wasGeneratedBy': [{ '@id': id }] }
    const derived = sources.length > 0 ? { 'prov:wasDerivedFrom': sources.map(reference) } : {}
    switch (event.kind) {
      case 'contributed': {
        const { contributor, rowCount, contentHash } = event.about
        const by = this.#by(contributor)
        this.#entity(subject, 'contribution', {
          ...generated,
          ...by,
          'ol:content': contentHash,
          'ol:rows': rowCount,
        })
        this.#associate(id, contributor)
        return
      }
      case 'versioned': {
        const { rowsRoot, rowCount } = event.about
        this.#entity(subject, 'version', {
          ...generated,
          ...derived,
          'ol:rowsRoot': rowsRoot,
          'ol:rows': rowCount,
        })
        this.add(subject, { '@type': ['prov:Entity', 'prov:Collection'] })
        return
      }
      case 'trained': {
        const { owner, name, adapterHash, baseHash } = event.about
        const by = this.#by(owner)
        this.#entity(subject, name, {
          ...generated,
          ...derived,
          ...by,
          'ol:adapter': adapterHash,
          'ol:base': baseHash,
        })
        this.#associate(id, owner)
        return
      }
      case 'evaluated': {
        const { reportHash } = event.about
        if (!reportHash) return
        const report = `urn:openledger:content:${reportHash}`
        this.#entity(report, 'evaluation report', {
          ...generated,
          'prov:wasDerivedFrom': [reference(subject)],
        })
        return
      }
      case 'served': {
        const { provider, payer, fee } = event.about
        const by = this.#by(provider)
        this.#entity(subject, 'answer', { ...generated, ...derived, ...by, 'ol:fee': whole(fee) })
        this.#associate(id, provider)
        this.#associate(id, payer)
        return
      }
      case 'attributed': {
        for (const share of event.about.shares) this.#attribute(subject, share)
        return
      }
      case 'paid': {
        for (const [i, { account, amount }] of event.about.payouts.entries()) {
          if (amount === '0') continue
          const payout = `${subject}:payout:${i}`
          const from = { 'prov:wasDerivedFrom': [reference(subject)] }
          this.#entity(payout, 'payout', {
            ...generated,
            ...from,
            ...this.#by(account),
            'ol:wei': whole(amount),
          })
        }
        return
      }
      case 'reported':
        this.#associate(id, event.about.reporter)
        return
      default:
    }
  }

  /** With the weight: parts of 2^32. */
  #attribute(
    subject: string,
    { account, weight, amount }: Facts['attributed']['shares'][number],
  ): void {
    const agent = reference(this.#agent(account))
    this.add(subject, {
      'prov:wasAttributedTo': [agent],
      'prov:qualifiedAttribution': [
        {
          '@id': `${subject}:share:${account}`,
          '@type': 'prov:Attribution',
          'prov:agent': agent,
          'ol:weight': whole(weight),
          'ol:wei': whole(amount),
        },
      ],
    })
  }

  #subject(event: ProvenanceEvent): string {
    const { about } = event
    if ('version' in about) return this.#version(about.datanet, about.version)
    if ('receipt' in about) return this.receipt(about.receipt)
    if ('model' in about) return `urn:openledger:${this.#chainId}:model:${about.model}`
    return `urn:openledger:${this.#chainId}:contribution:${about.datanet}/${about.rowsRoot}`
  }

  #version(datanet: string, version: number): string {
    return `urn:openledger:${this.#chainId}:datanet:${datanet}/${version}`
  }

  #event(hash: Hex): string {
    return `urn:openledger:${this.#chainId}:event:${hash}`
  }

  #entity(id: string, label: string, members: Node): void {
    this.add(id, { '@type': ['prov:Entity'], 'rdfs:label': label, ...members })
  }

  #by(account: Hex): Node {
    return { 'prov:wasAttributedTo': [reference(this.#agent(account))] }
  }

  #associate(activity: string, account: Hex): void {
    this.add(activity, { 'prov:wasAssociatedWith': [reference(this.#agent(account))] })
  }

  #agent(account: Hex): string {
    const id = `did:pkh:eip155:${this.#chainId}:${account}`
    this.add(id, { '@type': ['prov:Agent'] })
    return id
  }
}

function reference(id: string): Node {
  return { '@id': id }
}

/** Beyond what a JSON number holds. */
function whole(decimal: string): Node {
  return { '@type': 'xsd:integer', '@value': decimal }
}
