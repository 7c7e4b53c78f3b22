/**
 * Contracts that tools expect at the same address on every chain and that are nobody's predeploy: how each
 * comes to stand there. They are deployed in block 0 as they were everywhere else, by CREATE2 through a
 * factory, with the VM of this chain: so their immutables (chain id, domain separator, own address), their
 * storage and what their constructors create are right here, and the address itself proves that the
 * creation code is the true one. Code that is not under a permissive licence is not kept in this tree; it is
 * read from a pinned package and checked by its hash.
 */
import { type Hex, STANDARD } from './addresses.ts'
import { PERMIT2_CREATION_CODE } from './preinstalls.generated.ts'

export type Preinstall = {
  readonly name: string
  readonly address: Hex
  /** Takes salt 32 || creation code as calldata. */
  readonly factory: Hex
  readonly salt: Hex
  readonly source: CodeSource
}

export type CodeSource =
  | { readonly kind: 'here'; readonly code: Hex }
  /** The field `bytecode` of a JSON artefact in an npm package. */
  | { readonly kind: 'package'; readonly file: string; readonly codeHash: Hex }

const SAFE = '@safe-global/safe-contracts/build/artifacts/contracts'
const NO_SALT: Hex = `0x${'00'.repeat(32)}`

export const PREINSTALLS: readonly Preinstall[] = [
  {
    name: 'permit2',
    address: '0x000000000022d473030f116ddee9f6b43ac78ba3',
    factory: STANDARD.create2Deployer,
    salt: '0x0000000000000000000000000000000000000000d3af2663da51c10215000000',
    source: { kind: 'here', code: PERMIT2_CREATION_CODE },
  },
  {
    name: 'entryPointV07',
    address: '0x0000000071727de22e5e9d8baf0edac6f37da032',
    factory: STANDARD.create2Deployer,
    salt: '0x90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3',
    source: {
      kind: 'package',
      file: '@account-abstraction/contracts-v07/artifacts/EntryPoint.json',
      codeHash: '0x30516d9cdbeabfaf62ea32d081a10ee3b95b92e5549cfc86353bbe85741c1404',
    },
  },
  {
    name: 'entryPointV08',
    address: '0x4337084d9e255ff0702461cf8895ce9e3b5ff108',
    factory: STANDARD.create2Deployer,
    salt: '0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9',
    source: {
      kind: 'package',
      file: '@account-abstraction/contracts-v08/artifacts/EntryPoint.json',
      codeHash: '0x2a7c999e10f113d5f71f2abb9069a95091852afbd016309139559b9e47bb59dd',
    },
  },
  safe(
    'safe',
    '0x41675c099f32341bf84bfc5382af534df5c7461a',
    'Safe.sol/Safe.json',
    '0xbdd9e3833a8bdf0f6b4312e07bc851afc298d53690a00a28cade5de8b6ac0f36',
  ),
  safe(
    'safeL2',
    '0x29fcb43b46531bca003ddc8fcb67ffe91900c762',
    'SafeL2.sol/SafeL2.json',
    '0x3555bd3ee95b1c6605c602740d71efaf200068e0395ccd701ac82ab8e42307bd',
  ),
  safe(
    'safeProxyFactory',
    '0x4e1dcf7ad4e460cfd30791ccc4f9c8a4f820ec67',
    'proxies/SafeProxyFactory.sol/SafeProxyFactory.json',
    '0x596f87ec561ad5ea1c13253af5c91247a713253499b74a5d594537cae42eaaa9',
  ),
  safe(
    'safeMultiSend',
    '0x38869bf66a61cf6bdb996a6ae40d5853fd43b526',
    'libraries/MultiSend.sol/MultiSend.json',
    '0x4b098e80d2b37db2c4a92ff33a116dfacb2276a8532a6b493367952cc6d0b7b3',
  ),
  safe(
    'safeMultiSendCallOnly',
    '0x9641d764fc13c8b624c04430c7356c1c7c8102e2',
    'libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json',
    '0xa7934433f19155c708af2674b14c6c8b591fedbed7b01ce8cf64014f307468a0',
  ),
  safe(
    'safeCompatibilityFallbackHandler',
    '0xfd0732dc9e303f09fcef3a7388ad10a83459ec99',
    'handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json',
    '0x5a63128db658d8601220c014848acd6c27b855a0427f0181eb3ba8c25e2d3e95',
  ),
  safe(
    'safeCreateCall',
    '0x9b35af71d77eaf8d7e40252370304687390a1a52',
    'libraries/CreateCall.sol/CreateCall.json',
    '0x0871bf92dc4e13f2fd05dfec9570999908913bb89dda487f781cebe3435f9c62',
  ),
  safe(
    'safeSignMessageLib',
    '0xd53cd0ab83d845ac265be939c57f53ad838012c9',
    'libraries/SignMessageLib.sol/SignMessageLib.json',
    '0xc2a1c33b764ed0f0a27f274f4153335444e266cac3792545f2f1be7621197345',
  ),
  safe(
    'safeSimulateTxAccessor',
    '0x3d4ba2e0884aa488718476ca2fb8efc291a46199',
    'accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json',
    '0x949a457935c25c9ba74fed34a89f32bee4b242d0d2f51e0c9d4020b45788a1d1',
  ),
]

/** Created by the EntryPoints' constructors. */
export const SENDER_CREATORS = {
  entryPointV07: '0xefc2c1444ebcc4db75e7613d20c6a62ff67a167c',
  entryPointV08: '0x449ed7c3e6fee6a97311d4b55475df59c44add33',
} as const

/** Safe 1.4.1: deployed through Safe's own factory, without a salt. */
function safe(name: string, address: Hex, file: string, codeHash: Hex): Preinstall {
  const source = { kind: 'package', file: `${SAFE}/${file}`, codeHash } as const
  return { name, address, factory: STANDARD.safeSingletonFactory, salt: NO_SALT, source }
}
