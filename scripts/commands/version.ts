/** `openledger version`: what a bug report should begin with. */
import { VERSION } from '../../node/base/version.ts'
import type { Command } from '../cli/command.ts'

export const version: Command = {
  name: 'version',
  summary: 'Shows the version of the node, its database schema, its engine and Node.js',
  flags: { json: { help: 'as JSON' } },
  run: async ({ switches }) => {
    const { SCHEMA_VERSION } = await import('../../node/store/tables.ts')
    const facts = {
      openledger: VERSION,
      schema: SCHEMA_VERSION,
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      engine: await engine(),
    }
    if (switches.has('json')) process.stdout.write(`${JSON.stringify(facts)}\n`)
    else
      for (const [name, value] of Object.entries(facts)) {
        process.stdout.write(`${name.padEnd(12)} ${value}\n`)
      }
    return undefined
  },
}

async function engine(): Promise<string> {
  try {
    const { capabilities } = await import('../../native/index.ts')
    return Object.entries(capabilities())
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')
  } catch (error) {
    return `not available: ${(error as Error).message}`
  }
}
