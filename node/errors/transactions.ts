/** Why a transaction is refused: by itself, or by the pool. Complete by type: a code without its page does not compile. */
import type { TxErrorCode } from '../chain/errors.ts'
import type { PoolErrorCode } from '../mempool/errors.ts'
import type { ErrorPage } from './types.ts'

const MORE_FEE = 'Ask eth_feeHistory or eth_maxPriorityFeePerGas what is usual, and sign it again.'

export const TRANSACTION_ERRORS: Readonly<Record<TxErrorCode | PoolErrorCode, ErrorPage>> = {
  malformed: ['The bytes are no signed transaction.', 'Send what your signer returned, as 0x hex.'],
  'type-not-supported': [
    'Blob transactions (type 3) are for L1; an L2 has none.',
    'Send a transaction of type 0, 1, 2 or 4.',
  ],
  'deposit-not-allowed': [
    'Deposits (type 0x7e) come from L1 alone.',
    'Call depositTransaction of OptimismPortal on L1.',
  ],
  'wrong-chain-id': [
    'The transaction was signed for another chain.',
    'Ask eth_chainId, set it in the wallet, and sign again.',
  ],
  'bad-signature': ['The signature is of nobody.', 'Sign the transaction again, unchanged.'],
  'nonce-too-low': [
    'A transaction of this account with that nonce is on the chain already.',
    "Take eth_getTransactionCount(account, 'pending') as the nonce.",
  ],
  'nonce-too-high': [
    'Transactions before it are missing, so a block cannot have it yet.',
    'Send those of the nonces between.',
  ],
  'nonce-max': ['The account has used every nonce there is.', 'Use another account.'],
  'insufficient-funds': [
    'The account has less than the amount, the gas at the fee cap and the L1 data fee come to.',
    'Send less, or bridge more OPEN to the account.',
  ],
  'gas-limit-over-block': [
    'The gas limit is above that of a block.',
    'Ask eth_estimateGas, or split the work.',
  ],
  'intrinsic-gas': ['The gas limit is below what the bytes alone cost.', 'Ask eth_estimateGas.'],
  'fee-below-base-fee': ['The fee cap is below the base fee of the block.', MORE_FEE],
  'tip-above-fee-cap': [
    'The tip is above the fee cap, which holds it in.',
    'Raise maxFeePerGas or lower maxPriorityFeePerGas.',
  ],
  'initcode-size': [
    'The code that creates the contract is too long (EIP-3860).',
    'Turn on the optimiser, or split the contract.',
  ],
  'blob-gas-over-block': [
    'It asks for more blob gas than there is.',
    'An L2 has no blobs: send it on L1.',
  ],
  'blob-fee-below-base-fee': ['The blob fee cap is too low.', 'An L2 has no blobs: send it on L1.'],
  'sender-not-eoa': [
    'The sender is a contract (EIP-3607), which signs nothing.',
    'Send from the account that owns it.',
  ],
  'execution-fault': [
    'The EVM failed in a way that is a fault of this node.',
    'Report it with the transaction; the log has the details.',
  ],
  'out-of-time': [
    'The time of the block was up before it ran.',
    'Nothing: the next blocks try it again.',
  ],
  'computes-too-long': [
    'It computes for longer than any block of this sequencer has time.',
    'Split the work over several transactions; the account may send again when the message says.',
  ],
  'already-known': ['This very transaction waits in the pool.', 'Nothing: wait for its receipt.'],
  'replacement-underpriced': [
    'Another transaction has this nonce, and the new one does not pay enough more.',
    'Raise fee cap and tip to what the message says.',
  ],
  'tx-too-large': ['The transaction has too many bytes.', 'Split it.'],
  'tx-gas-too-high': [
    'One transaction may use only so much gas (EIP-7825).',
    'Split the work over several transactions.',
  ],
  'tip-too-low': ['This node wants a higher tip.', MORE_FEE],
  'nonce-gap': [
    'Its nonce is far beyond the next of the account.',
    "Send those between first; eth_getTransactionCount(account, 'pending') says where to go on.",
  ],
  'account-queue-full': [
    'Too many transactions of this account wait for one that is missing.',
    'Send the one with the nonce in the message.',
  ],
  'delegated-account-busy': [
    'An account with delegated code (EIP-7702) has one transaction in the pool at a time.',
    'Wait for it, then send the next.',
  ],
  overdraft: [
    'The account cannot pay for this one and for those that wait already.',
    'Wait for them, send less, or bridge more OPEN.',
  ],
  'pool-full': ['The pool is full of transactions that pay more.', MORE_FEE],
}
