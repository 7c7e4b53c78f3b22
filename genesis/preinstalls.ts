/**
 * Contracts that tools expect at the same address on every chain and that are nobody's predeploy: how each
 * comes to stand there. They are deployed in block 0 as they were everywhere else, by CREATE2 through a
 * factory or as the first contract of a one-time account, with the VM of this chain: so their immutables (chain id, domain separator, own address), their
 * storage and what their constructors create are right here. An address made by CREATE2 proves its creation
 * code; that of a one-time account proves the signed transaction that carries the code. Code that is not under a permissive licence is not kept in this tree; it is
 * read from a pinned package and checked by its hash.
 */
import { type Hex, STANDARD } from './addresses.ts'
import { PERMIT2_CREATION_CODE } from './preinstalls.generated.ts'
import { SAFE_PREINSTALLS } from './preinstalls-safe.ts'

export type Preinstall = {
  readonly name: string
  readonly address: Hex
  readonly deployment: Deployment
  readonly source: CodeSource
}

export type Deployment =
  /** The factory takes salt 32 || creation code as calldata. */
  | { readonly factory: Hex; readonly salt: Hex }
  /** The account that signed the one transaction, its nonce 0. */
  | { readonly creator: Hex }

export type CodeSource =
  | { readonly kind: 'here'; readonly code: Hex }
  /** The field `bytecode` of a JSON artefact in an npm package. */
  | { readonly kind: 'artefact'; readonly file: string; readonly codeHash: Hex }
  /** Data of the signed legacy transaction, in hex, that a file of an npm package holds. */
  | {
      readonly kind: 'transaction'
      readonly npm: string
      readonly file: string
      readonly codeHash: Hex
    }

export const PREINSTALLS: readonly Preinstall[] = [
  {
    name: 'permit2',
    address: '0x000000000022d473030f116ddee9f6b43ac78ba3',
    deployment: {
      factory: STANDARD.create2Deployer,
      salt: '0x0000000000000000000000000000000000000000d3af2663da51c10215000000',
    },
    source: { kind: 'here', code: PERMIT2_CREATION_CODE },
  },
  entryPoint(
    'V06',
    '0x5ff137d4b0fdcd49dca30c7cf57e578a026d2789',
    `0x${'00'.repeat(32)}`,
    '0x7af81bb089cbbd117f52b96bebd684df6da9f4085c8d924358272f2506fe836b',
  ),
  entryPoint(
    'V07',
    '0x0000000071727de22e5e9d8baf0edac6f37da032',
    '0x90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3',
    '0x30516d9cdbeabfaf62ea32d081a10ee3b95b92e5549cfc86353bbe85741c1404',
  ),
  entryPoint(
    'V08',
    '0x4337084d9e255ff0702461cf8895ce9e3b5ff108',
    '0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9',
    '0x2a7c999e10f113d5f71f2abb9069a95091852afbd016309139559b9e47bb59dd',
  ),
  ...SAFE_PREINSTALLS,
  {
    name: 'createX',
    address: '0xba5ed099633d3b313e4d5f7bdc1305d3c28ba5ed',
    deployment: { creator: '0xed456e05caab11d66c4c797dd6c1d6f9a7f352b5' },
    source: {
      kind: 'transaction',
      npm: '@nomicfoundation/ignition-core',
      file: 'dist/src/internal/execution/strategy/createx-artifact.js',
      codeHash: '0x12ec861579b63a3ab9db3b5a23c57d56402ad3061475b088f17054e2f2daf22f',
    },
  },
]

/** Created by the EntryPoints' constructors. */
export const SENDER_CREATORS = {
  entryPointV06: '0x7fc98430eaedbb6070b35b39d798725049088348',
  entryPointV07: '0xefc2c1444ebcc4db75e7613d20c6a62ff67a167c',
  entryPointV08: '0x449ed7c3e6fee6a97311d4b55475df59c44add33',
} as const

function entryPoint(
  version: 'V06' | 'V07' | 'V08',
  address: Hex,
  salt: Hex,
  codeHash: Hex,
): Preinstall {
  const file = `@account-abstraction/contracts-${version.toLowerCase()}/artifacts/EntryPoint.json`
  return {
    name: `entryPoint${version}`,
    address,
    deployment: { factory: STANDARD.create2Deployer, salt },
    source: { kind: 'artefact', file, codeHash },
  }
}
