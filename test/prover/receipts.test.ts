/** Receipts of a real, tiny model, answered, settled and done again; and the same receipts with one lie each. */
import t, { type Test } from 'tap'
import type { Explained } from '../../node/attribution/explain.ts'
import type { ReceiptLedger } from '../../node/attribution/ledger.ts'
import {
  decodeRequest,
  encodeRequest,
  type InferenceRequest,
  type RetrievedContext,
  type Sampler,
  samplerHash,
  tokensCommit,
} from '../../node/attribution/request.ts'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import { concatBytes, fromHex, type Hex, keccakHex, toHex } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { merkleLeaf, merkleVerify } from '../../node/base/merkle.ts'
import type { ContentStore } from '../../node/content/store.ts'
import { proveRow } from '../../node/datanet/proof.ts'
import type { DatanetVersionRef } from '../../node/factory/manifest.ts'
import { RowPlaces } from '../../node/factory/places.ts'
import { readReport } from '../../node/factory/report.ts'
import type { RpcContext } from '../../node/rpc/context.ts'
import { attributionMethods } from '../../node/rpc/methods/attribution.ts'
import { type Claim, decodeClaims, encodeClaims } from '../../precompiles/mix.ts'
import { checkReceipt } from '../../prover/check.ts'
import type { Difference } from '../../prover/compare.ts'
import { openWorld, TINY } from '../support/factory.ts'
import { type Market, openMarket } from '../support/market.ts'
import { models } from '../support/model.ts'
import { ResultCheck } from '../support/result-check.ts'

function verdictOn(
  { library, registry, traces }: Market,
  content: (hash: `0x${string}`) => Promise<Uint8Array>,
  settled: SettledReceipt,
): Promise<Difference | null> {
  const traceOf = async (hash: `0x${string}`) => traces.get(hash) ?? null
  return checkReceipt(settled, { library, registry, content, traceOf })
}

type RetrievalProof = {
  readonly claim: { readonly row: number }
  readonly rowHash: Hex
  readonly vectorsRoot: Hex
  readonly rows: number
  readonly question: Hex
  readonly vector: Hex
  readonly siblings: readonly Hex[]
}

const u32le = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)

/** A receipt of the same answer to another request. */
async function forged(
  settled: SettledReceipt,
  request: InferenceRequest,
  content: ContentStore,
): Promise<SettledReceipt> {
  const requestId = await content.put(encodeRequest(request))
  const promptCommit = tokensCommit(request.prompt)
  return { ...settled, receipt: { ...settled.receipt, requestId, promptCommit } }
}

t.test('spans of an answer are claimed, mixed, paid and found again', async (t: Test) => {
  const world = await openWorld(t)
  const market = await openMarket(t, world, {
    attribution: { ...TINY.attribution, spanTokens: 2 },
  })
  const read = (hash: `0x${string}`) => world.content.get(hash)
  const { corpusHash } = await world.economy.read<{ corpusHash: string }>(models, 'getModel', [
    market.model,
  ])
  t.equal(corpusHash, market.job.result?.corpusHash, 'the model names its corpus on chain')

  const { settled, answer } = await market.ask('Fellow citizens, the harvest and navy and', 24)
  const claims = decodeClaims(settled.claims, 3)
  const [first, ...rest] = typeof claims === 'string' ? [] : claims
  if (typeof claims === 'string' || !first) throw new Error(`no claims: ${claims}`)
  t.equal(await verdictOn(market, read, settled), null)
  const index = new Set(settled.contributors.map((one) => one.index))
  for (const { contributor } of claims) t.ok(index.has(contributor), 'who is quoted is paid')
  const booked = settled.booked.reduce((sum, { amount }) => sum + amount, 0n)
  t.equal(booked, settled.receipt.fee, 'every wei is booked')

  await t.test(
    'its text is shown in pieces with their owners, and each claim proves',
    async (t) => {
      const methods = attributionMethods({
        ledger: { settled: async () => {}, get: async () => settled } as unknown as ReceiptLedger,
        models: { registry: market.registry, library: market.library, readContent: read },
        places: new RowPlaces(read),
      })
      const results = new ResultCheck(methods)
      const ask = async (name: string, ...args: unknown[]): Promise<unknown> => {
        const result = await methods[name]?.handler({} as RpcContext, args, null)
        t.equal(results.fault(name, result), null)
        return result
      }
      const told = (await ask('openledger_getAttribution', settled.hash)) as Explained
      t.equal(told.text, answer.text)
      t.equal(told.pieces.map(({ text }) => text).join(''), told.text, 'nothing is left out')
      const owners = told.pieces.flatMap((piece) => piece.owners.map((owner) => ({ piece, owner })))
      t.equal(owners.length, claims.length)
      const ref = market.job.manifest.datanets[0] as DatanetVersionRef
      for (const { piece, owner } of owners) {
        const version = { ...ref, rowCount: 36 }
        const { row, contributor, rowHash } = await proveRow(version, owner.row, read)
        t.ok(row?.text.includes(piece.text), `row ${owner.row} has '${piece.text}'`)
        t.equal(contributor, owner.contributor)
        t.equal(rowHash, owner.rowHash)
      }
      const wei = told.contributors.reduce((sum, { amount }) => sum + BigInt(amount), 0n)
      t.equal(wei, settled.shares.contributors)

      for (const [i, { row, length, score }] of claims.entries()) {
        const { to, data } = (await ask('openledger_traceSpan', settled.hash, i)) as {
          to: Hex
          data: Hex
        }
        const { returnData } = await world.economy.chain.call({ to, data: fromHex(data) })
        const [count = 0, bits = 0, , proven] = Array.from({ length: 6 }, (_, word) =>
          Number(BigInt(toHex(returnData.subarray(32 * word, 32 * word + 32)))),
        )
        t.same([Math.floor(bits / count), proven], [score, row], `a span of ${length} tokens`)
      }
      await t.rejects(ask('openledger_traceSpan', settled.hash, 99), /no span claim 99/)
    },
  )

  await t.test(
    'rows retrieved into the prompt are claimed, paid, proved, and found again',
    async (t) => {
      const question = 'What of the harvest and the navy?'
      const found = await market.ask(question, 4, { top: 2, tokens: 64, at: 0 })
      t.equal(await verdictOn(market, read, found.settled), null)
      const decoded = decodeClaims(found.settled.claims, 3)
      const rows =
        typeof decoded === 'string' ? [] : decoded.filter(({ kind }) => kind === 'retrieval')
      t.equal(rows.length, 2)
      const { retrieved } = found.answer.record as { retrieved: unknown[] }
      t.same(
        retrieved,
        rows.map(({ kind: _, ...row }) => row),
        'the answer says so',
      )
      const request = decodeRequest(await read(found.settled.receipt.requestId))
      const { base } = world
      const told = base.model.decode(Uint32Array.from(request.prompt))
      t.ok(told.endsWith(question), 'the question stands behind them')
      const ref = market.job.manifest.datanets[0] as DatanetVersionRef
      const methods = attributionMethods({
        ledger: {
          settled: async () => {},
          get: async () => found.settled,
        } as unknown as ReceiptLedger,
        models: { registry: market.registry, library: market.library, readContent: read },
        places: new RowPlaces(read),
      })
      const results = new ResultCheck(methods)
      const ask = async <T>(name: string, ...args: unknown[]): Promise<T> => {
        const result = await methods[name]?.handler({} as RpcContext, args, null)
        t.equal(results.fault(name, result), null)
        return result as T
      }
      const explained = await ask<Explained>('openledger_getAttribution', found.settled.hash)
      t.equal(explained.retrieved.length, 2)
      for (const {
        tokens: [from, to],
        row: index,
        claim,
        contributor,
        score,
      } of explained.retrieved) {
        const { row } = await proveRow({ ...ref, rowCount: 36 }, index, read)
        const shown = base.model.decode(Uint32Array.from(request.prompt.slice(from, to)))
        t.ok(row?.text.startsWith(shown), `'${shown}' is how its row begins`)
        t.ok(
          found.settled.contributors.some(
            ({ account, amount }) => account === contributor && amount > 0n,
          ),
        )
        const proof = await ask<RetrievalProof>(
          'openledger_traceRetrieval',
          found.settled.hash,
          claim,
        )
        const { vectorsRoot: root } = await readReport(market.job.result?.report as Hex, read)
        t.equal(proof.vectorsRoot, root, 'the root stands in the job’s report')
        const [vector, asked] = [proof.vector, proof.question].map(
          (hex) => new Int8Array(fromHex(hex)),
        )
        t.equal(
          vector?.reduce((sum, entry, i) => sum + entry * (asked?.[i] ?? 0), 0),
          score,
        )
        const leaf = merkleLeaf(
          concatBytes(u32le(proof.claim.row), fromHex(proof.rowHash), fromHex(proof.vector)),
        )
        const siblings = proof.siblings.map((hash) => fromHex(hash))
        const { row: at } = proof.claim
        t.ok(
          merkleVerify(siblings, {
            root: fromHex(root as Hex),
            leaf,
            index: at,
            count: proof.rows,
          }),
        )
      }
      const context = request.retrieval as RetrievedContext
      const bent = request.prompt.map((id, i) => (i === context.at + 1 ? id ^ 1 : id))
      const lied = await forged(found.settled, { ...request, prompt: bent }, world.content)
      t.match(await verdictOn(market, read, lied), {
        stage: 'request',
        field: 'retrieved token',
        index: context.at + 1,
      })
      const fewer = encodeClaims((decoded as Claim[]).filter((one) => one !== rows[1]))
      const hidden = {
        ...found.settled,
        claims: fewer,
        receipt: { ...found.settled.receipt, claimsHash: keccakHex(fewer) },
      }
      t.match(await verdictOn(market, read, hidden), { stage: 'claims', field: 'retrieval' })
      await t.rejects(ask('openledger_traceRetrieval', settled.hash, 99), /no retrieval claim 99/)

      for (const [other, why] of [
        [{ ...request, retrieval: { ...context, top: 9 } }, /at most 8/],
        [{ ...request, sampler: { ...request.sampler, maxTokens: 1e6 } }, /exceed the context/],
        [{ ...request, prompt: request.prompt.map(() => -1) }, /not an inference request: prompt/],
        [{ ...request, sampler: {} as Sampler }, /not an inference request: sampler/],
        [{ ...request, sampler: { ...request.sampler, temperature: 1e3 } }, /: sampler/],
      ] as const) {
        const unanswerable = await forged(found.settled, other, world.content)
        const receipt = {
          ...unanswerable.receipt,
          samplerHash: samplerHash(other.sampler),
        }
        t.match(await verdictOn(market, read, { ...unanswerable, receipt }), {
          stage: 'request',
          found: why,
        })
      }
      const { library, registry } = market
      let missing = (): null => null
      const load = async (...args: Parameters<typeof library.load>) => ({
        ...(await library.load(...args)),
        vectors: async () => missing(),
      })
      const bare = { ...market, library: { base: library.base, load } } as unknown as Market
      const refused = { stage: 'request', field: 'retrieval' } as const
      t.match(await verdictOn(bare, read, found.settled), { ...refused, found: /without/ })
      missing = () => {
        throw userError('vectors', 'row vectors are not of this model')
      }
      t.match(await verdictOn(bare, read, found.settled), { ...refused, found: /without/ })
      registry.mayRetrieve = async () => false
      t.match(await verdictOn(market, read, found.settled), { ...refused, found: /licences/ })
      await t.rejects(market.ask(question, 4, { top: 2, tokens: 64, at: 0 }), {
        code: 'retrieval-licence',
      })
      Reflect.deleteProperty(registry, 'mayRetrieve')
    },
  )

  const withClaims = (bytes: Uint8Array): SettledReceipt => ({
    ...settled,
    claims: bytes,
    receipt: { ...settled.receipt, claimsHash: keccakHex(bytes) },
  })
  const lie = { ...first, contributor: (first.contributor + 1) % 3 }
  t.match(await verdictOn(market, read, withClaims(encodeClaims([lie, ...rest]))), {
    stage: 'claims',
    index: 0,
    claimed: new RegExp(`contributor ${lie.contributor}`),
  })
  t.match(await verdictOn(market, read, withClaims(encodeClaims(rest))), { stage: 'claims' })
  const bent = settled.sketch.map((entry, i) => (i === 1 ? entry ^ 1 : entry))
  t.match(
    await verdictOn(market, read, {
      ...settled,
      sketch: bent,
      receipt: { ...settled.receipt, sketchHash: keccakHex(bent) },
    }),
    { stage: 'sketch', index: 1 },
  )
  const [best, ...others] = settled.contributors
  if (best)
    t.match(
      await verdictOn(market, read, {
        ...settled,
        contributors: [{ ...best, amount: best.amount + 1n }, ...others],
      }),
      { stage: 'payout', index: 0 },
    )
})
