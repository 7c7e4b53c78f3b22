/**
 * Fixed addresses of the L2: the OP Stack predeploys whose ABI we keep, our own predeploys, and the
 * precompiles. Our range starts with the ASCII bytes of "OPEN" so that it cannot be mistaken for
 * anybody else's. Addresses are lower-case hex everywhere inside the node.
 */
export type Hex = `0x${string}`

/** OP Stack predeploys (specs: predeploys.md). */
export const OP = {
  wopen: '0x4200000000000000000000000000000000000006',
  gasPriceOracle: '0x420000000000000000000000000000000000000f',
  sequencerFeeVault: '0x4200000000000000000000000000000000000011',
  l1Block: '0x4200000000000000000000000000000000000015',
  l2ToL1MessagePasser: '0x4200000000000000000000000000000000000016',
  baseFeeVault: '0x4200000000000000000000000000000000000019',
  l1FeeVault: '0x420000000000000000000000000000000000001a',
} as const

/** The account without a key that sends the L1 attributes deposit (specs: deposits.md). */
export const L1_ATTRIBUTES_DEPOSITOR: Hex = '0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001'

/** The payable-AI predeploys, in the order of `genesis/README.md`. */
export const OPENLEDGER = {
  datanetRegistry: '0x4f50454e00000000000000000000000000000001',
  modelRegistry: '0x4f50454e00000000000000000000000000000002',
  jobRegistry: '0x4f50454e00000000000000000000000000000003',
  providerRegistry: '0x4f50454e00000000000000000000000000000004',
  inferenceEscrow: '0x4f50454e00000000000000000000000000000005',
  receiptRegistry: '0x4f50454e00000000000000000000000000000006',
  rewardDistributor: '0x4f50454e00000000000000000000000000000007',
  splitPolicy: '0x4f50454e00000000000000000000000000000008',
  staking: '0x4f50454e0000000000000000000000000000000a',
  governedOpen: '0x4f50454e0000000000000000000000000000000b',
  openGovernor: '0x4f50454e0000000000000000000000000000000c',
  openTimelock: '0x4f50454e0000000000000000000000000000000d',
  openSupply: '0x4f50454e0000000000000000000000000000000e',
  modelFunding: '0x4f50454e0000000000000000000000000000000f',
  datanetValidation: '0x4f50454e00000000000000000000000000000010',
  precompileGas: '0x4f50454e00000000000000000000000000000011',
  market: '0x4f50454e00000000000000000000000000000012',
  identityRegistry: '0x4f50454e00000000000000000000000000000020',
  reputationRegistry: '0x4f50454e00000000000000000000000000000021',
  validationRegistry: '0x4f50454e00000000000000000000000000000022',
  agentAccounts: '0x4f50454e00000000000000000000000000000023',
  agentAccount: '0x4f50454e00000000000000000000000000000024',
  agentBonds: '0x4f50454e00000000000000000000000000000025',
  openPaymaster: '0x4f50454e00000000000000000000000000000026',
} as const

/** Contracts that stand at the same address on every chain. */
export const STANDARD = {
  /** EIP-4788 */
  beaconRoots: '0x000f3df6d732807ef1319fb7b8bb8522d0beac02',
  /** EIP-2935 */
  history: '0x0000f90827f1c53a10cb7a02335b175320002935',
  create2Deployer: '0x4e59b44847b379578588920ca78fbf26c0b4956c',
  /** The same code, at the address Safe deploys through. */
  safeSingletonFactory: '0x914d7fec6aac8cd542e72bca78b30650d45643d7',
  /** The OP Stack's preinstall. */
  create2Helper: '0x13b0d85ccb8bf860b6b79af3029fca081ae9bef2',
  multicall3: '0xca11bde05977b3631167028862be2a173976ca11',
  /** What clients of x402 sign for in scheme `upto`; our own code with the interface they know. */
  x402UptoProxy: '0x4020a4f3b7b90cca423b9fabcc0ce57c6c240002',
} as const

/** EVM extensions of `precompiles/`. */
export const PRECOMPILE = {
  model: '0x0000000000000000000000000000000000000a01',
  attribute: '0x0000000000000000000000000000000000000a02',
  span: '0x0000000000000000000000000000000000000a04',
  upgrade: '0x0000000000000000000000000000000000000a05',
} as const
