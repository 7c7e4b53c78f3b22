/**
 * `openledger-node/client`: this chain for who builds on it with viem. Chains, contracts, actions, the deposit of OPEN,
 * agents' accounts (ERC-4337), a `fetch` that pays, and the checks of what a node says: pure functions over proofs.
 */
export { OP, OPENLEDGER } from '../../genesis/addresses.ts'
export {
  type ReceiptEvidence,
  type ReceiptJudgement,
  type SettledView,
  verifyReceipt,
} from '../../node/attribution/verify/receipt.ts'
export { type PayingOptions, payingFetch } from '../../node/model/paying-fetch.ts'
export {
  type FoundAgent,
  type OpenLedgerActions,
  type Opinion,
  openLedgerActions,
} from './actions.ts'
export { gasByAuthorization, gasBySponsor, gasInTokens, toAgentAccount } from './agent-account.ts'
export { l1Chain, type OpenLedgerChain, openLedgerChain } from './chain.ts'
export { contracts, type OpenLedgerContracts } from './contracts.ts'
export { depositERC20Transaction } from './deposit-erc20-transaction.ts'
