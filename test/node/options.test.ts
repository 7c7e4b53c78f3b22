import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { optionsHelp, parseOptions } from '../../node/configure.ts'

t.test(
  'flags come before environment, environment before file, file before defaults',
  async (t) => {
    const config = join(t.testdir(), 'config.json')
    writeFileSync(config, JSON.stringify({ rpcPort: 1, p2pPort: 2, dataDir: 'there' }))
    const options = parseOptions(
      { config, 'rpc-port': '7' },
      { OPENLEDGER_RPC_PORT: '5', OPENLEDGER_P2P_PORT: '6' },
    )
    t.match(options, { rpcPort: 7, p2pPort: 6, dataDir: 'there', rpcHost: '127.0.0.1' })
    t.ok(Object.isFrozen(options))
  },
)

t.test('a bad option is named with its value and where it came from', async (t) => {
  t.throws(() => parseOptions({ 'rpc-port': 'x' }, {}), {
    code: 'options',
    message: /--rpc-port is 'x'/,
  })
  t.throws(() => parseOptions({}, { OPENLEDGER_RPC_PORT: '-1' }), /OPENLEDGER_RPC_PORT is '-1'/)
  t.throws(
    () => parseOptions({ 'log-level': 'loud' }, {}),
    /option 'logLevel' is 'loud', which is none of/,
  )
  t.throws(
    () => parseOptions({ config: '/nowhere.json' }, {}),
    /cannot read the configuration file/,
  )
  const config = join(t.testdir(), 'config.json')
  writeFileSync(config, JSON.stringify({ rcpPort: 1 }))
  t.throws(() => parseOptions({ config }, {}), /unknown option 'rcpPort'/)
})

t.test('keys are never taken from flags, and the help says so', async (t) => {
  const options = parseOptions({ 'sequencer-key': '0x11' }, { OPENLEDGER_BATCHER_KEY: '0x22' })
  t.equal(options.sequencerKey, null)
  t.equal(options.batcherKey, '0x22')
  t.match(optionsHelp(), /OPENLEDGER_SEQUENCER_KEY/)
  t.notMatch(optionsHelp(), /--sequencer-key /)
})
