import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { type StagingChannel, stageFrame } from '../../../node/derive/channel.ts'

const A: Hex = '0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
const B: Hex = '0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'

type Row = [frame: string, outcome?: string]

/** `A0` is frame 0 of channel A, `A1!` its last frame; a number alone moves to that L1 block. */
function play(rows: readonly Row[]): string[] {
  let channel: StagingChannel | null = null
  let l1Number = 1n
  return rows.map(([text]) => {
    const block = /^L1 (\d+)$/.exec(text)
    if (block) {
      l1Number = BigInt(block[1] as string)
      return ''
    }
    const number = Number(text[1])
    const frame = {
      channelId: text[0] === 'A' ? A : B,
      number,
      data: Uint8Array.of(number),
      isLast: text.endsWith('!'),
    }
    const staged = stageFrame(channel, frame, { l1Number, channelTimeout: 5n })
    channel = staged.channel
    return [
      staged.dropped?.fault,
      staged.frameFault,
      staged.complete && `= ${staged.complete.bytes}`,
    ]
      .filter(Boolean)
      .join('; ')
  })
}

const tables: Record<string, Row[]> = {
  'frames in order complete their channel': [['A0'], ['A1'], ['A2!', '= 0,1,2']],
  'a channel of one frame is complete at once': [['A0!', '= 0']],
  'a frame without a channel is dropped': [
    ['A1', 'no channel is open'],
    ['A0!', '= 0'],
  ],
  'a gap drops the frame and keeps the channel': [
    ['A0'],
    ['A2', 'frame out of order'],
    ['A1!', '= 0,1'],
  ],
  'a repeated frame is dropped': [['A0'], ['A1'], ['A1', 'frame out of order'], ['A2!', '= 0,1,2']],
  'a frame of another channel is dropped': [
    ['A0'],
    ['B1', 'frame of another channel'],
    ['A1!', '= 0,1'],
  ],
  'a first frame replaces the staged channel': [
    ['A0'],
    ['A1'],
    ['B0', 'replaced by a new channel'],
    ['A2!', 'frame of another channel'], // A is gone for good
    ['B1!', '= 0,1'],
  ],
  'a first frame of the same channel starts it over': [
    ['A0'],
    ['A1'],
    ['A0', 'replaced by a new channel'],
    ['A1!', '= 0,1'],
  ],
  'a channel completes in its last L1 block before the timeout': [
    ['A0'],
    ['L1 6'],
    ['A1!', '= 0,1'],
  ],
  'a channel is gone one L1 block later': [
    ['A0'],
    ['L1 7'],
    ['A1!', 'timed out; no channel is open'],
  ],
}

for (const [name, rows] of Object.entries(tables)) {
  t.test(name, async (t) => {
    t.same(
      play(rows),
      rows.map(([, outcome]) => outcome ?? ''),
    )
  })
}

t.test('a channel over 100 MB is dropped with the frame that did it', async (t) => {
  const data = new Uint8Array(1_000_000)
  let channel: StagingChannel | null = null
  let number = 0
  let dropped: string | undefined
  for (; !dropped && number < 200; number++) {
    const staged = stageFrame(
      channel,
      { channelId: A, number, data, isLast: false },
      { l1Number: 1n, channelTimeout: 5n },
    )
    channel = staged.channel
    dropped = staged.dropped?.fault
  }
  t.equal(dropped, 'over the size limit')
  t.equal(number, 100) // each frame counts 200 bytes more than its data
  t.equal(channel, null)
})
