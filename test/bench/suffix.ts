/**
 * The suffix array's speed: building, longest matches of answers of 512 tokens, an opening. `TOKENS` (default 1e6) drawn
 * tokens in rows, of which every eighth repeats most of an earlier one.
 */
import { ROW_END, SuffixIndex } from '../../native/index.ts'
import { conditions, median } from './conditions.ts'

const TOKENS = Number(process.env.TOKENS ?? 1e6)
const ROW = 200
const ANSWERS = 200
const ANSWER_TOKENS = 512

/** Zipf-like tokens in rows; every eighth row repeats an earlier one in part, so that matches are long. */
function corpus(): Uint32Array {
  let state = 12_345
  const draw = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  const stream = new Uint32Array(TOKENS)
  for (let i = 0; i < TOKENS; i++) {
    const row = Math.floor(i / ROW)
    const copied = row % 8 === 7 && i % ROW > 40
    if (i % ROW === ROW - 1 || i === TOKENS - 1) stream[i] = ROW_END
    else if (copied) stream[i] = stream[i - 7 * ROW] as number
    else stream[i] = Math.floor(2_048 ** draw()) - 1
  }
  return stream
}

console.log(conditions({ tokens: TOKENS }))
const stream = corpus()
const ms = async (work: () => Promise<unknown> | unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}
let index = await SuffixIndex.build(Uint32Array.of(ROW_END))
const builtMs = await ms(async () => {
  index = await SuffixIndex.build(stream)
})
const faultMs = await ms(() => index.fault())
const times: number[] = []
for (let i = 0; i < ANSWERS; i++) {
  const from = (i * 7_919 * ROW) % (TOKENS - ANSWER_TOKENS)
  const answer = stream
    .slice(from, from + ANSWER_TOKENS)
    .map((v, j) => (v === ROW_END || j % 37 === 0 ? 5 : v))
  times.push(await ms(() => index.matches(answer)))
}
times.sort((a, b) => a - b)
const openMs = await ms(() => index.open('suffixes', Math.floor(TOKENS / 64)))
console.log(
  `${TOKENS} tokens: built and committed in ${(builtMs / 1000).toFixed(2)} s (${(TOKENS / builtMs / 1000).toFixed(2)} M tokens/s), ` +
    `checked in ${(faultMs / 1000).toFixed(2)} s; answer of ${ANSWER_TOKENS}: p50 ${median(times).toFixed(2)} ms, ` +
    `p99 ${times[Math.floor(ANSWERS * 0.99)]?.toFixed(2)} ms; opening ${openMs.toFixed(3)} ms`,
)
