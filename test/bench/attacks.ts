/**
 * `node test/bench/attacks.ts`: what attacks on contributors' pay earn with each defence off and on, on the pipeline with
 * the small base (`test/support/attacks.ts`). Profit is wei of 1,000,000 a question over what the same account earns by
 * honest play, less what the attack costs. The test (`test/prover/attacks.test.ts`) holds the rows that must not pay.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentStore } from '../../node/content/store.ts'
import { openBaseModel } from '../../node/model/base.ts'
import {
  type Crowd,
  DEFAULT,
  type Defences,
  FEE,
  honestCrowd,
  type Market,
  openMarket,
  type Query,
  questionLike,
  questions,
  ROWS,
  reworded,
  sentence,
  stuffed,
} from '../support/attacks.ts'
import { BASE_DIR } from '../support/factory.ts'

export type AttackRow = {
  readonly attack: string
  readonly defence: string
  /** wei a question; over honest play, less costs. */
  readonly off: number
  readonly on: number
}

const ATTACKER = 3
const QUESTIONS = 9
/** Of those that rows are retrieved for, and how many rows for each: few questions make the luck of a row look like profit. */
const RETRIEVING = 24
const RETRIEVED = 3
/** Characters put behind an honest row. */
const PADDING = 60
/** Of a fee, under policy 1. */
const OWNERS_PART = 0.2
const sumOf = (paid: readonly bigint[], from: number): bigint =>
  paid.slice(from).reduce((sum, one) => sum + one, 0n)

/** Every attack, measured. */
export async function measureAttacks(dir: string): Promise<AttackRow[]> {
  const base = await openBaseModel(BASE_DIR, 'f32')
  const content = await ContentStore.open(join(dir, 'content'))
  let count = 0
  const market = (crowd: Crowd): Promise<Market> =>
    openMarket(crowd, { base, content, dir: join(dir, `${count++}`) })
  const asked = questions(QUESTIONS)
  const perQuestion = (wei: bigint, of: readonly Query[] = asked): number => Number(wei) / of.length
  const earned = async (
    crowd: Crowd,
    defences: Defences,
    queries: readonly Query[] = asked,
    on?: Market,
  ): Promise<number> => {
    const paid = await (on ?? (await market(crowd))).pay(queries, defences)
    return perQuestion(sumOf(paid, ATTACKER), queries)
  }
  const rows: AttackRow[] = []
  const victim = honestCrowd()[0] as string[]
  const off: Defences = { dedup: false, normCap: 0, bait: false }

  // Somebody else's rows, as they are and reworded a little: an honest attacker would have given nothing.
  const farms = [
    ['duplicates', victim],
    ['paraphrase farm (a word more)', victim.flatMap((text) => [`Indeed ${text}`, `${text} So.`])],
  ] as const
  for (const [attack, copies] of farms) {
    const crowd = [...honestCrowd(), copies]
    const open = await market(crowd)
    rows.push({
      attack,
      defence: 'duplicate groups',
      off: await earned(crowd, { ...DEFAULT, dedup: false }, asked, open),
      on: await earned(crowd, DEFAULT, asked, open),
    })
  }

  // An account with rows of its own, honest or bent; the profit is over the honest ones.
  const own = Array.from({ length: ROWS }, (_, i) => sentence(i % 3, 200 + 3 * i))
  const noise = (i: number): string => ` zq${' xv jk qx vz kj wq zx'.repeat(2).slice(i)}`
  const honest = await market([...honestCrowd(), own])
  const bent = [
    ['gradient-norm inflation (noise behind rows)', own.map((text, i) => text + noise(i))],
    ['outlier rows (stuffed with the field’s words)', own.map((_, i) => stuffed(i % 3, i))],
  ] as const
  for (const [attack, texts] of bent) {
    const open = await market([...honestCrowd(), texts])
    const profit = async (defences: Defences): Promise<number> =>
      (await earned([], defences, asked, open)) - (await earned([], defences, asked, honest))
    rows.push({
      attack,
      defence: 'cap on leaves',
      off: await profit({ ...DEFAULT, normCap: 0 }),
      on: await profit(DEFAULT),
    })
  }
  // A shadow of the model says which of forty rows would earn most.
  const candidates = Array.from({ length: 4 * ROWS }, (_, i) => sentence(i % 3, 300 + i))
  const shadow = await market([...honestCrowd(), ...candidates.map((text) => [text])])
  const likely = questions(2 * QUESTIONS).slice(QUESTIONS)
  const promise = (await shadow.pay(likely, DEFAULT)).slice(ATTACKER)
  const picked = candidates
    .map((text, i) => ({ text, wei: promise[i] as bigint }))
    .sort((x, y) => Number(y.wei - x.wei))
    .slice(0, ROWS)
    .map(({ text }) => text)
  const shadowed = await market([...honestCrowd(), picked])
  const chosen = async (defences: Defences): Promise<number> =>
    (await earned([], defences, asked, shadowed)) - (await earned([], defences, asked, honest))
  rows.push({
    attack: 'shadow model (the best of 40 honest rows)',
    defence: 'none: these rows do shape the answers',
    off: await chosen(off),
    on: await chosen(DEFAULT),
  })
  const split = await market([...honestCrowd(), ...own.map((text) => [text])])
  const gained = async (defences: Defences): Promise<number> =>
    (await earned([], defences, asked, split)) - (await earned([], defences, asked, honest))
  rows.push({
    attack: 'split accounts',
    defence: 'none but the linear score: what is left is the clip at zero',
    off: await gained(off),
    on: await gained(DEFAULT),
  })

  rows.push(...(await onRetrieval({ market, earned, victim, own, honest, split })))

  // Its own questions, which it pays for.
  const baits = own
    .slice(0, 5)
    .map((text): Query => ({ prompt: `${text} ${text}`, answer: ` ${text}` }))
  const wei = Number(FEE)
  const baited = (defences: Defences): Promise<number> => earned([], defences, baits, honest)
  rows.push({
    attack: 'prompt bait, its fee paid',
    defence: 'spans of the prompt do not count',
    off: (await baited({ ...DEFAULT, bait: false })) - wei,
    on: (await baited(DEFAULT)) - wei,
  })
  // All rows, the model and the provider are the attacker's; only platform and stakers are not.
  const alone = await (await market([own])).pay(asked, DEFAULT)
  const back = perQuestion(sumOf(alone, 0))
  rows.push({
    attack: 'wash inference, as sole contributor and owner',
    defence: 'platform and stakers have 3/10',
    off: back + (wei - back) - wei,
    on: back + OWNERS_PART * wei - wei,
  })
  return rows
}

type Measured = {
  readonly market: (crowd: Crowd) => Promise<Market>
  readonly earned: (
    crowd: Crowd,
    defences: Defences,
    queries: readonly Query[],
    on: Market,
  ) => Promise<number>
  readonly victim: readonly string[]
  readonly own: readonly string[]
  /** The own rows in one hand, and one account for each. */
  readonly honest: Market
  readonly split: Market
}

/** Rows made to be retrieved: for questions of others, each with the three rows that it finds. */
async function onRetrieval({
  market,
  earned,
  victim,
  own,
  honest,
  split,
}: Measured): Promise<AttackRow[]> {
  const asked = questions(RETRIEVING).map((query) => ({ ...query, retrieved: RETRIEVED }))
  const by = (on: Market, defences: Defences): Promise<number> => earned([], defences, asked, on)
  const over = async (on: Market, base: Market, defences: Defences): Promise<number> =>
    (await by(on, defences)) - (await by(base, defences))
  const copies = await market([
    ...honestCrowd(),
    victim.flatMap((text) => [`Indeed ${text}`, `${text} So.`]),
  ])
  const reworder = await market([...honestCrowd(), victim.map(reworded)])
  const baits = own.map((_, i) => questionLike(i % 3, i))
  const bait = await market([...honestCrowd(), baits])
  const baitSplit = await market([...honestCrowd(), ...baits.map((text) => [text])])
  const padded = await market([
    ...honestCrowd(),
    own.map((text, i) => `${text} ${(baits[i] as string).slice(0, PADDING)}`),
  ])
  const alone = { ...DEFAULT, channels: { gradient: 0, span: 0, retrieval: 10_000 } }
  const weighs = 'gradients weigh most; off: pay by retrieval alone'
  const noDedup = { ...DEFAULT, dedup: false }
  return [
    {
      attack: 'near copies to be retrieved',
      defence: 'duplicate groups',
      off: await by(copies, noDedup),
      on: await by(copies, DEFAULT),
    },
    {
      attack: 'rewording past the near-copy rule',
      defence: 'none: it shapes answers less than honest rows',
      off: await over(reworder, honest, noDedup),
      on: await over(reworder, honest, DEFAULT),
    },
    {
      attack: 'retrieval bait (rows like questions)',
      defence: weighs,
      off: await over(bait, honest, alone),
      on: await over(bait, honest, DEFAULT),
    },
    {
      attack: 'retrieval bait, an account for each row',
      defence: weighs,
      off: await over(baitSplit, split, alone),
      on: await over(baitSplit, split, DEFAULT),
    },
    {
      attack: 'padding (own rows and what questions look like)',
      defence: 'cap on leaves',
      off: await over(padded, honest, { ...DEFAULT, normCap: 0 }),
      on: await over(padded, honest, DEFAULT),
    },
  ]
}

if (import.meta.filename === process.argv[1]) {
  const dir = await mkdtemp(join(tmpdir(), 'attacks-'))
  try {
    const rows = await measureAttacks(dir)
    process.stdout.write(`profit in wei of ${FEE} a question\n`)
    for (const { attack, defence, off, on } of rows)
      process.stdout.write(
        `${attack.padEnd(48)} off ${off.toFixed(0).padStart(8)}   on ${on.toFixed(0).padStart(8)}   (${defence})\n`,
      )
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
