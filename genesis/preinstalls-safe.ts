/**
 * Safe's contracts, three releases of them, at the addresses that Safe's own register names (npm
 * @safe-global/safe-deployments 1.37.63): all deployed without a salt, through Safe's singleton factory.
 * Release 1.3.0 stands twice, because it went through the CREATE2 deployer on most chains ("canonical") and through Safe's factory on
 * those that want EIP-155 signatures ("eip155"), and an application may look for either.
 *
 * The artefacts are GPL or LGPL: they are read from the packages, never kept in this tree.
 * Left out: SignMessageLib 1.3.0 and SafeMigration 1.5.0, whose packages carry other bytes than were deployed.
 */
import { type Hex, STANDARD } from './addresses.ts'
import type { Preinstall } from './preinstalls.ts'

/** Name, artefact, code hash, address, and where it stands a second time. */
type Row = readonly [string, string, Hex, Hex, Hex?]

/** @gnosis.pm/safe-contracts 1.3.0. */
const V1_3_0: readonly Row[] = [
  [
    'safe',
    'GnosisSafe.sol/GnosisSafe.json',
    '0x30632ce72e4de7408243bfe08d3359ce0f494543f08c113cc4d4232282bf6c6c',
    '0x69f4d1788e39c87893c980c06edf4b7f686e2938',
    '0xd9db270c1b5e3bd161e8c8503c55ceabee709552',
  ],
  [
    'safeL2',
    'GnosisSafeL2.sol/GnosisSafeL2.json',
    '0x49f30800a6ac5996a48b80c47ff20f19f8728812498a2a7fe75a14864fab6438',
    '0xfb1bffc9d739b8d520daf37df666da4c687191ea',
    '0x3e5c63644e683549055b9be8653de26e0b4cd36e',
  ],
  [
    'safeProxyFactory',
    'proxies/GnosisSafeProxyFactory.sol/GnosisSafeProxyFactory.json',
    '0x13d77c68fe7529013a9a57a295a785084b80e3d6ae9358c7f334752e0c8615f4',
    '0xc22834581ebc8527d974f8a1c97e1bea4ef910bc',
    '0xa6b71e26c5e0845f74c812102ca7114b6a896ab2',
  ],
  [
    'safeMultiSend',
    'libraries/MultiSend.sol/MultiSend.json',
    '0x319ec670832dc89915c70968563439764e1f45db07ce205115fef547c4d7a7ba',
    '0x998739bfdaadde7c933b942a68053933098f9eda',
    '0xa238cbeb142c10ef7ad8442c6d1f9e89e07e7761',
  ],
  [
    'safeMultiSendCallOnly',
    'libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json',
    '0x35e699c3e43ec3e03a101730ab916c5e540893eaaf806451e929d138c3ff53b7',
    '0xa1dabef33b3b82c7814b6d82a79e50f4ac44102b',
    '0x40a2accbd92bca938b02010e17a5b8929b49130d',
  ],
  [
    'safeCompatibilityFallbackHandler',
    'handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json',
    '0x272190de126b4577e187d9f00b9ca5daeae76d771965d734876891a51f9c43d8',
    '0x017062a1de2fe6b99be3d9d37841fed19f573804',
    '0xf48f2b2d2a534e402487b3ee7c18c33aec0fe5e4',
  ],
  [
    'safeCreateCall',
    'libraries/CreateCall.sol/CreateCall.json',
    '0x81b71c6ca3958124fc3f1368afb83eff85b35d12725f55c65360842a19119e35',
    '0xb19d6ffc2182150f8eb585b79d4abcd7c5640a9d',
    '0x7cbb62eaa69f79e6873cd1ecb2392971036cfaa4',
  ],
  [
    'safeSimulateTxAccessor',
    'accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json',
    '0xe5993412e711df6cc93d867252a993881b9e5ba1f9458be7b69e27499b52e232',
    '0x727a77a074d1e6c4530e814f89e618a3298fc044',
    '0x59ad6735bcd8152b84860cb256dd9e96b85f69da',
  ],
]

/** @safe-global/safe-contracts 1.4.1. */
const V1_4_1: readonly Row[] = [
  [
    'safe',
    'Safe.sol/Safe.json',
    '0xbdd9e3833a8bdf0f6b4312e07bc851afc298d53690a00a28cade5de8b6ac0f36',
    '0x41675c099f32341bf84bfc5382af534df5c7461a',
  ],
  [
    'safeL2',
    'SafeL2.sol/SafeL2.json',
    '0x3555bd3ee95b1c6605c602740d71efaf200068e0395ccd701ac82ab8e42307bd',
    '0x29fcb43b46531bca003ddc8fcb67ffe91900c762',
  ],
  [
    'safeProxyFactory',
    'proxies/SafeProxyFactory.sol/SafeProxyFactory.json',
    '0x596f87ec561ad5ea1c13253af5c91247a713253499b74a5d594537cae42eaaa9',
    '0x4e1dcf7ad4e460cfd30791ccc4f9c8a4f820ec67',
  ],
  [
    'safeMultiSend',
    'libraries/MultiSend.sol/MultiSend.json',
    '0x4b098e80d2b37db2c4a92ff33a116dfacb2276a8532a6b493367952cc6d0b7b3',
    '0x38869bf66a61cf6bdb996a6ae40d5853fd43b526',
  ],
  [
    'safeMultiSendCallOnly',
    'libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json',
    '0xa7934433f19155c708af2674b14c6c8b591fedbed7b01ce8cf64014f307468a0',
    '0x9641d764fc13c8b624c04430c7356c1c7c8102e2',
  ],
  [
    'safeCompatibilityFallbackHandler',
    'handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json',
    '0x5a63128db658d8601220c014848acd6c27b855a0427f0181eb3ba8c25e2d3e95',
    '0xfd0732dc9e303f09fcef3a7388ad10a83459ec99',
  ],
  [
    'safeCreateCall',
    'libraries/CreateCall.sol/CreateCall.json',
    '0x0871bf92dc4e13f2fd05dfec9570999908913bb89dda487f781cebe3435f9c62',
    '0x9b35af71d77eaf8d7e40252370304687390a1a52',
  ],
  [
    'safeSignMessageLib',
    'libraries/SignMessageLib.sol/SignMessageLib.json',
    '0xc2a1c33b764ed0f0a27f274f4153335444e266cac3792545f2f1be7621197345',
    '0xd53cd0ab83d845ac265be939c57f53ad838012c9',
  ],
  [
    'safeSimulateTxAccessor',
    'accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json',
    '0x949a457935c25c9ba74fed34a89f32bee4b242d0d2f51e0c9d4020b45788a1d1',
    '0x3d4ba2e0884aa488718476ca2fb8efc291a46199',
  ],
]

/** @safe-global/safe-smart-account 1.5.0. */
const V1_5_0: readonly Row[] = [
  [
    'safe',
    'Safe.sol/Safe.json',
    '0x3c32e7eb3961c145eef8620b24e8b829e6d2062a5730629d6169319f29fc1d07',
    '0xff51a5898e281db6dfc7855790607438df2ca44b',
  ],
  [
    'safeL2',
    'SafeL2.sol/SafeL2.json',
    '0x4784b1a3de5d71a416f0f5d987aef075f63287002bd2de704a9e68e57ffee658',
    '0xedd160febbd92e350d4d398fb636302fccd67c7e',
  ],
  [
    'safeProxyFactory',
    'proxies/SafeProxyFactory.sol/SafeProxyFactory.json',
    '0xd8803696e4c627ba4cab33cfab2625cf66c88f218c017306e392fcf88cc4e0c6',
    '0x14f2982d601c9458f93bd70b218933a6f8165e7b',
  ],
  [
    'safeMultiSend',
    'libraries/MultiSend.sol/MultiSend.json',
    '0x835a047eeb2db05847f2a0a80740fc993ff782957d2db7e093289244c3890df3',
    '0x218543288004cd07832472d464648173c77d7eb7',
  ],
  [
    'safeMultiSendCallOnly',
    'libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json',
    '0xc59d60d5dc7475d074dd19c49e892a39432d2bbe4cee98002d094240f6a619af',
    '0xa83c336b20401af773b6219ba5027174338d1836',
  ],
  [
    'safeCompatibilityFallbackHandler',
    'handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json',
    '0xe7213ad39e55911aa31c9d631addd737170d46e9074db5a5cf60fc3f78d6e1c1',
    '0x3efcbb83a4a7afcb4f68d501e2c2203a38be77f4',
  ],
  [
    'safeExtensibleFallbackHandler',
    'handler/ExtensibleFallbackHandler.sol/ExtensibleFallbackHandler.json',
    '0xc71c1171c056d3f4ae6b3bc8db52704dc11752e2c4473c014fdecf1b001a1348',
    '0x85a8ca358d388530ad0fb95d0cb89dd44fc242c3',
  ],
  [
    'safeTokenCallbackHandler',
    'handler/TokenCallbackHandler.sol/TokenCallbackHandler.json',
    '0xabaed42c0b2d8612d844777555608d819901cfeab4e294b0030ea970a6097e24',
    '0x54e86d004d71a8d2112ec75face57d730b0433f3',
  ],
  [
    'safeCreateCall',
    'libraries/CreateCall.sol/CreateCall.json',
    '0x075bef57cac49bbfdac62bcd02d8ec78ebd7aa747f0387b98e2afce08ceec9c8',
    '0x2ef5ecfbea521449e4de05edb1ce63b75eda90b4',
  ],
  [
    'safeSignMessageLib',
    'libraries/SignMessageLib.sol/SignMessageLib.json',
    '0x3bea4df2be1715fc6acb31d39a0f87215f9eed4972ace7936b3f6939a3b5ed7d',
    '0x4ffef8222648872b3de295ba1e49110e61f5b5aa',
  ],
  [
    'safeSimulateTxAccessor',
    'accessors/SimulateTxAccessor.sol/SimulateTxAccessor.json',
    '0x9fb40cd276a52c1d53843216c79fdd90be05eeb37ec0600bc4ca12f913835335',
    '0x07efa797c55b5dde3698d876b277abb6b893654c',
  ],
  [
    'safeToL2Setup',
    'libraries/SafeToL2Setup.sol/SafeToL2Setup.json',
    '0xa20a5a96e47e6fe2e691c672028b1ef01deefdce4bf88a458f9749e56ab42b12',
    '0x900c7589200010d6c6ecaae5b06ebe653bc2d82a',
  ],
]

const NO_SALT: Hex = `0x${'00'.repeat(32)}`

/** In the order in which block 0 deploys them. */
export const SAFE_PREINSTALLS: readonly Preinstall[] = [
  ...release('@safe-global/safe-contracts', '', V1_4_1),
  ...release('@safe-global/safe-contracts-v130', 'V130', V1_3_0),
  ...release('@safe-global/safe-contracts-v150', 'V150', V1_5_0),
]

function release(npm: string, suffix: string, rows: readonly Row[]): Preinstall[] {
  return rows.flatMap(([title, file, codeHash, address, canonical]) => {
    const name = `${title}${suffix}`
    const source = {
      kind: 'artefact',
      file: `${npm}/build/artifacts/contracts/${file}`,
      codeHash,
    } as const
    const singleton = { factory: STANDARD.safeSingletonFactory, salt: NO_SALT }
    const once = { name, address, deployment: singleton, source }
    if (!canonical) return [once]
    const deployer = { factory: STANDARD.create2Deployer, salt: NO_SALT }
    return [once, { name: `${name}Canonical`, address: canonical, deployment: deployer, source }]
  })
}
