/** Names of the devnet's accounts that a person may be: people first, then roles of the chain. Their keys are in `dev.ts`. */
export const DEV_ACCOUNTS = [
  'alice',
  'bob',
  'carol',
  'curator',
  'builder',
  'provider',
  'sponsor',
  'deployer',
] as const

export type DevAccountName = (typeof DEV_ACCOUNTS)[number]
