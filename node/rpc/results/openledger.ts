/**
 * Results of `openledger_*`. Amounts of wei and anything beyond 2^53 are decimal strings. Records of the protocol are
 * open: they may gain members, they do not lose any.
 */
import type { JsonSchema } from '../method.ts'
import {
  address,
  data,
  decimal,
  flag,
  fraction,
  hash,
  integer,
  listOf,
  nullable,
  openShape,
  shape,
  text,
  words,
} from './shape.ts'

const number: JsonSchema = { type: 'number' }
const blockId = shape({ number: integer, hash })

export const nodeInfo: JsonSchema = openShape({
  role: text,
  kernelSet: integer,
  simd: text,
  threads: integer,
  cuda: flag,
  cudaReason: text,
  baseModel: openShape({ hash, name: text, precision: text, licence: text, tokenizer: hash }),
  provider: nullable(address),
  p2p: listOf(text),
  peers: listOf(shape({ peer: text, address: text })),
})

export const provider: JsonSchema = openShape({
  address,
  endpoint: text,
  peerId: text,
  baseHash: hash,
  rateInMin: decimal,
  rateOutMin: decimal,
  models: listOf(hash),
  latencyMs: nullable(number),
  answers: integer,
  failures: integer,
})

export const model: JsonSchema = openShape(
  {
    id: hash,
    name: text,
    owner: address,
    baseHash: hash,
    adapterHash: hash,
    artefactHash: hash,
    leavesRoot: hash,
    manifestHash: hash,
    datanetIds: listOf(decimal),
    versions: listOf(integer),
    rateIn: decimal,
    rateOut: decimal,
  },
  'model',
)

export const quote: JsonSchema = shape({ fee: decimal, unit: text })

export const datanet: JsonSchema = openShape(
  {
    id: decimal,
    owner: address,
    treasury: address,
    name: text,
    schema: text,
    budget: decimal,
    versionCount: integer,
    licenceCount: integer,
    contributorCount: decimal,
    // Where one Datanet is asked for.
    'quorum?': openShape({
      validators: listOf(address),
      threshold: integer,
      scoreMin: integer,
      commitSeconds: integer,
      revealSeconds: integer,
      stakeMin: decimal,
    }),
  },
  'Datanet',
)

export const datanetVersion: JsonSchema = openShape(
  {
    parent: hash,
    rowsRoot: hash,
    rowCount: integer,
    manifestHash: hash,
    groupsHash: hash,
    contributionCount: integer,
    licence: integer,
    publishedAt: decimal,
    cid: text,
    terms: nullable(
      openShape({
        permissions: listOf(text),
        purposes: listOf(text),
        contributorsMin: integer,
        expiresAt: decimal,
        textHash: hash,
        bases: listOf(hash),
        revokedAt: decimal,
      }),
    ),
  },
  'version',
)

export const contribution: JsonSchema = openShape(
  {
    contributor: address,
    rowsRoot: hash,
    contentHash: hash,
    rowCount: integer,
    byteCount: decimal,
    commitBlock: decimal,
    commitOrder: decimal,
    revealedAt: decimal,
    isPrivate: flag,
    isErased: flag,
    validation: openShape({
      openedAt: decimal,
      round: integer,
      outcome: words('none', 'accepted', 'rejected'),
      score: integer,
    }),
    cid: text,
  },
  'contribution',
)

/** How a row is paid: by every channel, or, of a picture or sound, for being retrieved alone. */
export const tier: JsonSchema = words('full', 'retrieval')

const rowMembers = {
  // null: private
  row: nullable(openShape({ text, 'media?': openShape({ hash, type: text, bytes: integer }) })),
  tier,
  contributor: address,
  contribution: hash,
  rowHash: hash,
  index: integer,
  count: integer,
  root: hash,
}
/** `type` is null for what is neither picture nor sound. */
export const media: JsonSchema = shape({ type: nullable(text), bytes: integer })
export const row: JsonSchema = openShape(rowMembers)
export const rowProof: JsonSchema = openShape({ ...rowMembers, proof: listOf(hash) })

export const versionProfile: JsonSchema = shape({
  rows: integer,
  tokens: integer,
  longest: integer,
  histogram: listOf(shape({ from: integer, to: integer, rows: integer })),
  copies: nullable(shape({ exact: integer, near: integer })),
})

const chainPart = shape({ transactions: integer, gas: decimal, wei: decimal })
const estimateMembers = {
  trainTokens: integer,
  indexTokens: integer,
  evaluationTokens: integer,
  steps: integer,
  seconds: shape({
    prepare: number,
    train: number,
    evaluate: number,
    index: number,
    total: number,
  }),
  cpuSeconds: number,
  memoryBytes: nullable(integer),
  fee: decimal,
  chain: nullable(shape({ submit: chainPart, register: chainPart })),
}
export const jobEstimate: JsonSchema = openShape(estimateMembers)
const manifest: JsonSchema = { type: 'object' }

export const jobDraft: JsonSchema = openShape({
  manifest,
  estimate: jobEstimate,
  terms: { type: ['object', 'array'] },
})

const jobMembers = {
  id: hash,
  name: text,
  state: words('queued', 'running', 'paused', 'done', 'failed', 'cancelled'),
  owner: address,
  fee: decimal,
  createdAt: text,
  startedAt: nullable(text),
  finishedAt: nullable(text),
  attempts: integer,
  progress: nullable({ type: 'object' }),
  etaSeconds: nullable(number),
  estimate: nullable(jobEstimate),
  modelId: nullable(hash),
  error: nullable(shape({ code: text, message: text })),
}
export const jobSummary: JsonSchema = openShape(jobMembers, 'job')
export const job: JsonSchema = openShape(
  {
    ...jobMembers,
    points: listOf({ type: 'array', items: number, minItems: 3, maxItems: 3 }),
    checkpoints: listOf({ type: 'object' }),
    result: nullable({ type: 'object' }),
    manifest,
  },
  'job',
)

export const verdict: JsonSchema = openShape(
  {
    receiptHash: hash,
    ok: flag,
    validator: address,
    difference: nullable(
      openShape({
        stage: text,
        field: text,
        'index?': integer,
        'at?': openShape({
          layer: nullable(integer),
          operator: text,
          'tile?': integer,
          'row?': integer,
          'column?': integer,
        }),
        claimed: text,
        found: text,
      }),
    ),
  },
  'verdict',
)

export const receipt: JsonSchema = openShape(
  {
    receiptHash: hash,
    settled: { const: true },
    requestId: hash,
    payer: address,
    provider: address,
    modelId: hash,
    baseHash: hash,
    adapterHash: hash,
    tokenizerHash: hash,
    promptCommit: hash,
    outputCommit: hash,
    tokensIn: integer,
    tokensOut: integer,
    seed: decimal,
    samplerHash: hash,
    traceRoot: hash,
    policyId: integer,
    sketchHash: hash,
    claimsHash: hash,
    attributionRoot: hash,
    fee: decimal,
    startedAt: decimal,
    finishedAt: decimal,
    parentAction: hash,
    shares: shape({
      platform: decimal,
      modelOwner: decimal,
      stakers: decimal,
      contributors: decimal,
    }),
    contributors: listOf(
      openShape({
        account: address,
        index: integer,
        weight: decimal,
        share: fraction,
        amount: decimal,
      }),
    ),
    block: blockId,
    transaction: hash,
    modelName: nullable(text),
    verdict: nullable(verdict),
  },
  'settled receipt',
)

/** wei of OPEN. `total` = `circulating` + `locked`. */
export const openSupply: JsonSchema = openShape({
  block: blockId,
  total: decimal,
  circulating: decimal,
  locked: decimal,
  vested: decimal,
  staked: decimal,
  bridged: decimal,
})

/** Who gets how many wei of a price. */
const split = listOf(shape({ account: address, amount: decimal }))

export const listing: JsonSchema = shape(
  {
    kind: words('agent', 'model', 'datanet'),
    id: text,
    name: nullable(text),
    seller: address,
    expiresAt: integer,
    isGood: flag,
    sale: nullable(shape({ price: decimal, split })),
    licence: nullable(shape({ price: decimal, seconds: integer, termsHash: hash, split })),
  },
  'listing',
)

export const listings: JsonSchema = shape({ total: integer, listings: listOf(listing) })

export const rewards: JsonSchema = openShape({ pending: decimal, claimable: decimal })

export const attributionProof: JsonSchema = openShape({
  receiptHash: hash,
  attributionRoot: hash,
  account: address,
  index: integer,
  weight: decimal,
  at: integer,
  count: integer,
  path: listOf(shape({ hash, sum: decimal })),
})

const rowOwner = {
  datanet: decimal,
  version: integer,
  row: integer,
  tier,
  contributor: address,
  index: integer,
  rowHash: hash,
  claim: integer,
  score: integer,
}
const spanOwner: JsonSchema = shape({ ...rowOwner, weight: fraction })
const claim = (kind: string): JsonSchema =>
  shape({
    kind: words(kind),
    contributor: integer,
    row: integer,
    start: integer,
    length: integer,
    score: integer,
  })

export const attribution: JsonSchema = shape({
  receiptHash: hash,
  modelId: hash,
  policyId: integer,
  channels: shape({ gradient: integer, span: integer, retrieval: integer }),
  tokensOut: integer,
  text,
  pieces: listOf(
    shape({
      text,
      from: integer,
      to: integer,
      tokens: listOf(integer),
      owners: listOf(spanOwner),
    }),
  ),
  retrieved: listOf(shape({ ...rowOwner, tokens: listOf(integer) })),
  contributors: listOf(
    shape({
      account: address,
      index: integer,
      weight: decimal,
      gradient: decimal,
      span: decimal,
      retrieval: decimal,
      amount: decimal,
    }),
  ),
})

export const spanProof: JsonSchema = shape({
  receiptHash: hash,
  claim: claim('span'),
  corpus: hash,
  to: address,
  data,
})

export const retrievalProof: JsonSchema = shape({
  receiptHash: hash,
  claim: claim('retrieval'),
  rowHash: hash,
  vectorsRoot: hash,
  rows: integer,
  question: data,
  vector: data,
  siblings: listOf(hash),
})

export const receiptCheck: JsonSchema = openShape({
  receiptHash: hash,
  ok: flag,
  attributionRoot: hash,
  firstDifference: { type: 'integer', minimum: -1 },
})

export const simulatedSplit: JsonSchema = openShape({
  platform: decimal,
  modelOwner: decimal,
  stakers: decimal,
  contributors: listOf(shape({ account: address, amount: decimal })),
  unattributed: decimal,
})

export const proverStatus: JsonSchema = openShape({
  verifiedBlock: integer,
  stateRoot: nullable(hash),
  receiptsVerified: integer,
  receiptsRefuted: integer,
  blockMismatch: nullable(text),
  validator: address,
})

export const supply: JsonSchema = openShape({
  block: integer,
  minted: decimal,
  burned: decimal,
  withdrawn: decimal,
  finalized: decimal,
  locked: decimal,
  lockedCheckedAt: nullable(integer),
})

export const attestation: JsonSchema = shape({
  l2BlockNumber: integer,
  outputRoot: hash,
  validator: address,
  signature: data,
})

export const settlementStatus: JsonSchema = openShape({
  openGames: integer,
  proposedBlock: integer,
  anchorBlock: integer,
  alarms: listOf(text),
})

export const peers: JsonSchema = listOf(openShape({ id: text, address: text, 'score?': number }))

export const postedBatch: JsonSchema = openShape({
  transactionHash: hash,
  l1Block: blockId,
  kind: text,
  versionedHashes: listOf(hash),
  from: integer,
  to: integer,
})

export const derivationPlace: JsonSchema = shape({ l1: blockId, safe: blockId })

const slotProof: JsonSchema = openShape({ slot: hash, proof: listOf(data) })

/** What an account is paid for. */
export const roles: JsonSchema = listOf(
  words('platform', 'modelOwner', 'stakers', 'royalty', 'contributor', 'treasury'),
)

/** `node/attribution/verify/types.ts` names every member. */
export const payoutTrace: JsonSchema = openShape({
  chainId: integer,
  account: address,
  epoch: integer,
  amount: decimal,
  accrued: decimal,
  isComplete: flag,
  output: openShape({
    blockNumber: integer,
    stateRoot: hash,
    messagePasserStorageRoot: hash,
    blockHash: hash,
    outputRoot: hash,
    game: nullable(integer),
  }),
  rewards: openShape({
    accountProof: listOf(data),
    epochSeconds: slotProof,
    accrued: slotProof,
  }),
  history: openShape({ accountProof: listOf(data) }),
  blocks: listOf(openShape({ number: integer, header: data, history: nullable(slotProof) })),
  models: listOf(openShape({ modelId: hash, seal: data, corpus: nullable(data) })),
  receipts: listOf(
    openShape({
      receiptHash: hash,
      block: integer,
      transaction: hash,
      index: integer,
      receiptProof: listOf(data),
      transactionProof: listOf(data),
      amount: decimal,
      roles,
      sketch: data,
      claims: data,
      rows: listOf(openShape({ rowHash: hash, siblings: listOf(hash), leaf: data })),
    }),
  ),
})

export const modelVerdict: JsonSchema = openShape({
  modelId: hash,
  ok: nullable(flag),
  steps: integer,
  difference: nullable(openShape({ stage: text, field: text, claimed: text, found: text })),
  error: nullable(text),
  /** Of a wrong model: its receipts. */
  reports: nullable(openShape({ reportedToday: integer, waiting: integer, perDay: integer })),
})

/** As in rollup.json. */
export const chainConfig: JsonSchema = openShape({
  l1ChainId: integer,
  l2ChainId: integer,
  blockTime: integer,
  batchInbox: address,
  portal: address,
  genesis: openShape({ l2Time: integer }),
})
