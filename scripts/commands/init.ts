/**
 * `openledger init`: a data directory that `openledger run` can start from: the chain configuration, the
 * options that differ from the defaults, and (for the roles that sign) new encrypted keys.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { messageOf, userError } from '../../node/base/errors.ts'
import { keystoreFileName, writeSecretFile } from '../../node/keys/files.ts'
import { encryptKey } from '../../node/keys/keystore.ts'
import { type KeyRole, passwordOf } from '../../node/keys/resolve.ts'
import { type NodeOptions, OPTION_NAMES, type Role } from '../../node/options.ts'
import { passwordPrompt } from '../cli/ask.ts'
import { ALL_GROUPS, type Call, type Command } from '../cli/command.ts'
import { readChainConfig } from '../cli/files.ts'
import { JSON_FLAG, show } from '../cli/result.ts'

/** Keys that a role signs with. */
const KEYS_OF: Readonly<Record<Role, readonly KeyRole[]>> = {
  sequencer: ['sequencer', 'batcher'],
  follower: [],
  validator: ['validator'],
}

export const init: Command = {
  name: 'init',
  summary:
    'Prepares a data directory: chain configuration, config.json and, where the role signs, keys',
  flags: {
    network: {
      value: 'NAME|DIR',
      help: 'devnet, or the folder of a devnet or of a published network (rollup.json, network.json)',
    },
    'new-keys': {
      help: "make the role's keys, encrypted with the password; print their addresses",
    },
    ...JSON_FLAG,
  },
  options: ALL_GROUPS,
  notes: `Every option given here (flag or environment) is written to config.json; keys and passwords are not.
Examples:
  openledger init --data-dir node1 --network devnet
  openledger init --data-dir node1 --rollup rollup.json --l1-rpc https://... --l1-beacon https://...`,
  run: async (call) => {
    const { options, origins } = call.configure()
    const dataDir = resolve(options.dataDir)
    const target = join(dataDir, 'config.json')
    if (existsSync(target)) {
      throw userError(
        'options',
        `${target} is there already: edit it, or choose another --data-dir`,
      )
    }
    const network = call.flags.network === undefined ? null : readNetwork(call.flags.network)
    const rollup = network?.rollup ?? options.rollup
    const config = readChainConfig(rollup)
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const own = join(dataDir, 'rollup.json')
    if (resolve(rollup) !== own) copyFileSync(rollup, own)
    const chosen = OPTION_NAMES.filter(
      (name) => origins[name].kind === 'flag' || origins[name].kind === 'environment',
    ).filter((name) => !['dataDir', 'rollup', 'password'].includes(name) && !name.endsWith('Key'))
    const file = {
      ...network?.options,
      ...Object.fromEntries(chosen.map((name) => [name, options[name]])),
      role: options.role,
      dataDir,
      rollup: own,
      ...(call.switches.has('new-keys') ? await makeKeys(options, dataDir) : {}),
    }
    writeFileSync(target, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    report(call, options.role, dataDir, config.l2ChainId, file)
    return undefined
  },
}

type Network = { readonly rollup: string; readonly options: Partial<NodeOptions> }

/** A folder with `rollup.json` and `network.json`, which holds options (L1, peers, sequencer). */
function readNetwork(name: string): Network {
  const folder = resolve(name === 'devnet' ? '.devnet' : name)
  const rollup = join(folder, 'rollup.json')
  if (!existsSync(rollup)) {
    throw userError(
      'options',
      `no network at ${folder} (no rollup.json): start one with 'openledger devnet', or give --rollup and --l1-rpc`,
    )
  }
  const path = join(folder, 'network.json')
  if (!existsSync(path)) return { rollup, options: {} }
  try {
    return { rollup, options: JSON.parse(readFileSync(path, 'utf8')) as Partial<NodeOptions> }
  } catch (error) {
    throw userError('options', `cannot read ${path}: ${messageOf(error)}`)
  }
}

async function makeKeys(
  options: NodeOptions,
  dataDir: string,
): Promise<Readonly<Record<string, string>>> {
  const password = await passwordOf(options, 'password for the new keys', passwordPrompt())
  const files: Record<string, string> = {}
  for (const role of KEYS_OF[options.role]) {
    const keystore = encryptKey(secp256k1.utils.randomSecretKey(), password)
    const path = join(dataDir, 'keystore', keystoreFileName(keystore, new Date()))
    writeSecretFile(path, `${JSON.stringify(keystore)}\n`)
    files[`${role}Keystore`] = path
    process.stderr.write(`${role} key: 0x${keystore.address}\n`)
  }
  return files
}

function report(
  call: Call,
  role: Role,
  dataDir: string,
  chainId: number,
  file: Readonly<Record<string, unknown>>,
): void {
  const missing = KEYS_OF[role].filter((key) => !file[`${key}Keystore`] && !file[`${key}Signer`])
  const lines = [
    `${role} of chain ${chainId} in ${dataDir}`,
    ...missing.map((key) => `still to set: the ${key}'s key`),
    `next: openledger doctor --data-dir ${dataDir}`,
    `      openledger run --data-dir ${dataDir}`,
  ]
  show(call, { role, dataDir, chainId, missing }, lines)
}
