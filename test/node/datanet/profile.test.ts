import t from 'tap'
import { KIND } from '../../../node/datanet/groups.ts'
import { profileOf } from '../../../node/datanet/profile.ts'

t.test('rows are counted by length in powers of two, and copies by kind', (t) => {
  const group = '0x00' as const
  const groups = [KIND.first, KIND.exact, KIND.near, KIND.near, KIND.first].map((kind) => ({
    group,
    kind,
  }))
  t.same(profileOf([0, 1, 3, 4, 9], groups), {
    rows: 5,
    tokens: 17,
    longest: 9,
    histogram: [
      { from: 0, to: 1, rows: 1 },
      { from: 1, to: 2, rows: 1 },
      { from: 2, to: 4, rows: 1 },
      { from: 4, to: 8, rows: 1 },
      { from: 8, to: 16, rows: 1 },
    ],
    copies: { exact: 1, near: 2 },
  })
  t.end()
})

t.test('a version of nothing, and one that names no groups', (t) => {
  t.same(profileOf([], null), {
    rows: 0,
    tokens: 0,
    longest: 0,
    histogram: [{ from: 0, to: 1, rows: 0 }],
    copies: null,
  })
  t.end()
})
