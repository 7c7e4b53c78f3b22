/** What openledger_*Job lets through to the factory, and what it refuses at the door. */
import t from 'tap'
import type { ModelFactory } from '../../../node/factory/factory.ts'
import { jobMethods } from '../../../node/rpc/methods/jobs.ts'
import { openTestNode } from '../../support/rpc.ts'

const ID = `0x${'11'.repeat(32)}`

async function open(t: { testdir(): string; teardown(fn: () => Promise<void>): void }) {
  const calls: unknown[][] = []
  const record = async (...args: unknown[]): Promise<never> => {
    calls.push(args)
    throw new Error('reached the factory')
  }
  const factory = { control: record, submit: record, estimate: record } as unknown as ModelFactory
  const node = await openTestNode(t.testdir(), { modules: { methods: [jobMethods(factory)] } })
  t.teardown(() => node.close())
  return { call: node.call, calls }
}

t.test('nobody controls a job without a signature, the node’s own jobs least of all', async (t) => {
  const { call, calls } = await open(t)
  for (const method of ['openledger_pauseJob', 'openledger_resumeJob', 'openledger_cancelJob']) {
    const { error } = await call(method, [ID])
    t.match(error, { code: -32602, message: /missing value for required argument 1 \(signature\)/ })
  }
  t.same(calls, [])
  await call('openledger_cancelJob', [ID, '0x0A0b'])
  t.same(calls, [[ID, 'cancel', '0x0a0b']])
})

t.test('a manifest that is none is a wrong argument, naming the field', async (t) => {
  const { call, calls } = await open(t)
  for (const method of ['openledger_submitJob', 'openledger_estimateJob']) {
    const { error } = await call(method, [{ lora: {} }])
    t.match(error, {
      code: -32602,
      message: /argument 0 \(manifest\): .*field training is missing/,
    })
  }
  t.same(calls, [])
})
