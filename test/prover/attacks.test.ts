/** What must not pay, does not: the suite of `test/bench/attacks.ts`, which prints the same numbers. */
import t from 'tap'
import { type AttackRow, measureAttacks } from '../bench/attacks.ts'

t.test(
  'attacks on contributors’ pay earn nothing under the default policy',
  { timeout: 300_000 },
  async (t) => {
    const rows = await measureAttacks(t.testdir())
    for (const { attack, off, on } of rows)
      t.comment(`${attack}: off ${off.toFixed(0)}, on ${on.toFixed(0)} wei of 1,000,000`)
    const row = (name: string): AttackRow => {
      const found = rows.find(({ attack }) => attack.startsWith(name))
      if (!found) throw new Error(`no attack ${name}`)
      return found
    }
    for (const name of [
      'duplicates',
      'paraphrase',
      'gradient-norm',
      'outlier',
      'near copies to be retrieved',
      'rewording',
      'retrieval bait (',
      'retrieval bait, an account',
      'padding',
      'prompt bait',
      'wash',
    ])
      t.ok(row(name).on <= 0, `${name} pays nobody`)
    for (const name of [
      'duplicates',
      'paraphrase',
      'gradient-norm',
      'near copies to be retrieved',
      'retrieval bait (',
      'padding',
      'prompt bait',
    ])
      t.ok(row(name).off > row(name).on, `${name}: the defence is what stops it`)
    // Clipping at zero leaves a little to who splits: less than a thousandth of the fee.
    t.ok(row('split').on < 1_000, 'splitting an account gains next to nothing')
  },
)
